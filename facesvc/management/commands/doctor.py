import json
import sys
from argparse import ArgumentParser
from typing import Any

from facesvc import __version__
from facesvc.doctor import gallery, local, server, work
from facesvc.doctor.examining import Check, CheckState, Finding, examine, in_each
from facesvc.management.service_command import ServiceCommand
from facesvc.monitoring import terminal

_TABLES = ("database", "migrations")

# In the order in which they are shown.
CHECKS = (
    Check("settings", local.configuration),
    Check("database", server.database),
    Check("connections", server.connections, needs=("database",)),
    Check("migrations", in_each(server.migrations), needs=("database",)),
    Check("clock", server.clock, needs=("database",)),
    Check("pack", gallery.pack, needs=_TABLES),
    Check("template key", in_each(gallery.template_key), needs=_TABLES),
    Check("crop key", in_each(gallery.crop_key), needs=_TABLES),
    Check("models", local.models),
    Check("inference", local.inference, needs=("models",)),
    Check("rules", in_each(gallery.own_rules), needs=_TABLES),
    Check("search", in_each(gallery.search), needs=_TABLES),
    Check("replicas", server.replicas, needs=_TABLES),
    Check("queue", work.queue, needs=_TABLES),
    Check("callbacks", in_each(work.callbacks), needs=_TABLES),
    Check("look-alikes", in_each(work.look_alikes), needs=_TABLES),
    Check("disk", local.disk),
    Check("memory", local.memory),
)
_COLOURS = {
    CheckState.OK: terminal.GREEN,
    CheckState.WARNING: terminal.YELLOW,
    CheckState.FAILURE: terminal.RED,
    CheckState.UNKNOWN: terminal.DIM,
}


class Command(ServiceCommand):
    # The checks of Django are one of the findings.
    requires_system_checks = []
    help = (
        "Check whether the service has what it needs: a line each, with what to do. "
        "The exit code is 1 if something does not work, and 0 with warnings alone."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["json"]:
            self.stdout.write(f"facesvc {__version__}")
        states = set()
        found = []
        for name, finding in examine(CHECKS):
            states.add(finding.state)
            if options["json"]:
                found.append({"name": name, **vars(finding)})
            else:
                self._show(name, finding)
        is_fine = states.isdisjoint({CheckState.FAILURE, CheckState.UNKNOWN})
        if options["json"]:
            report = {"version": __version__, "ok": is_fine, "checks": found}
            self.stdout.write(json.dumps(report, indent=2))
        if not is_fine:
            sys.exit(1)

    def _show(self, name: str, finding: Finding) -> None:
        colours = terminal.in_colour(sys.stdout)
        state = terminal.painted(f"{finding.state:<8}", _COLOURS[finding.state], really=colours)
        self.stdout.write(f"{state} {name:<13} {finding.text}")
        if finding.advice:
            self.stdout.write(f"{'':<22} -> {finding.advice}")
