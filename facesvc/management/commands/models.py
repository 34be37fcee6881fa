from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from facesvc.management.service_command import CommandInEach
from recognition import model_change
from recognition.inference.pack import weights
from recognition.inference.pack.declaration import ModelPack, PackError
from recognition.model_change import MissingTemplatesError, TemplateTarget
from recognition.packs import catalogue, downloads, engine, first_pack


class Command(CommandInEach):
    # The checks complain about a pack that cannot serve; this command changes that.
    requires_system_checks = []
    help = "List the model packs, bring one's files here, check them, or have another one serve."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        actions.add_parser("list", help="each pack with its licence and state")
        pull = actions.add_parser("pull", help="make or download the files of a pack")
        pull.add_argument(
            "name",
            nargs="?",
            help="default: the pack that serves, or of a new database that of FACESVC_PACK; `auto` "
            f"is {first_pack.PREFERRED}, or {first_pack.FALLBACK} if that cannot be had within a "
            "minute",
        )
        pull.add_argument(
            "--accept-license", action="store_true", help="of a pack that is not free for all uses"
        )
        verify = actions.add_parser("verify", help="compare a pack's files with their SHA-256")
        verify.add_argument("name")
        activate = actions.add_parser(
            "activate", help="serve with this pack from now on, in each collection"
        )
        activate.add_argument("name")
        activate.add_argument(
            "--allow-missing",
            type=int,
            default=0,
            metavar="N",
            help="faces that may be without a template of this pack (default: %(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        match options["action"]:
            case "list":
                self._list()
            case "pull":
                self._pull(options["name"], options["accept_license"])
            case "verify":
                self._verify(engine.pack(options["name"]))
            case "activate":
                self.in_each(lambda: self._activate(options["name"], options["allow_missing"]))

    def _list(self) -> None:
        for entry in catalogue.entries():
            state = [
                "active" if entry.active else "",
                "prepared" if entry.prepared else "not pulled",
                _calibration(entry),
            ]
            self.stdout.write(f"{entry.pack.name}: {', '.join(filter(None, state))}")
            self.stdout.write(f"    {entry.pack.description}\n    licence: {entry.pack.licence}")
            if entry.reason:
                self.stdout.write(f"    {entry.reason}")
            if entry.prepared and (lacking := weights.without(entry.pack, settings.MODELS_DIR)):
                self.stdout.write(f"    {lacking}")

    def _pull(self, named: str | None, is_accepted: bool) -> None:
        name = named or catalogue.active_name(unless=settings.FACESVC_PACK)
        if name == first_pack.AUTO:
            name = self._fetch_first()
        pack = engine.pack(name)
        self._pull_needed(pack, is_accepted)
        # A start names none, and must not wait for them.
        if named and named != first_pack.AUTO:
            self._pull_optional(pack)

    def _fetch_first(self) -> str:
        if not (why_not := first_pack.fetch()):
            return first_pack.PREFERRED
        # Below a bar that did not come to its end.
        self.stdout.write(f"\n{why_not}\nThe pack {first_pack.FALLBACK} takes its place.")
        return first_pack.FALLBACK

    def _pull_needed(self, pack: ModelPack, is_accepted: bool) -> None:
        if weights.is_prepared(pack, settings.MODELS_DIR):
            self.stdout.write(f"The pack {pack.name} is ready.")
            return
        self.stdout.write(f"{pack.name}: {pack.description}\nLicence: {pack.licence}")
        if pack.terms:
            self.stdout.write(pack.terms.strip())
            if not is_accepted:
                again = f"manage.py models pull {pack.name} --accept-license"
                raise CommandError(f"To accept these terms, run: {again}")
        try:
            downloads.pull(pack, settings.MODELS_DIR, settings.FACESVC_MODEL_SOURCE)
        except KeyboardInterrupt:
            raise CommandError("Stopped. Run it again: it goes on from here.") from None
        self.stdout.write(f"The pack {pack.name} is prepared in {settings.MODELS_DIR}.")
        if pack.calibration is None:
            self.stdout.write(f"It cannot serve yet: {engine.not_calibrated(pack)}.")
        elif pack.calibration.provisional:
            self.stdout.write(
                "Its calibration is provisional, and strict refuses it: run "
                f"`manage.py calibrate FOLDER --pack {pack.name}`."
            )

    def _pull_optional(self, pack: ModelPack) -> None:
        try:
            source = settings.FACESVC_MODEL_SOURCE
            downloads.pull(pack, settings.MODELS_DIR, source, optional=True)
        except PackError as error:
            lacking = weights.without(pack, settings.MODELS_DIR)
            self.stdout.write(f"{error}\nThe pack serves all the same, but {lacking}.")

    def _verify(self, pack: ModelPack) -> None:
        verdicts = weights.verify(pack, settings.MODELS_DIR)
        for file, verdict in verdicts.items():
            self.stdout.write(f"{file}: {verdict}")
        if bad := [file for file, verdict in verdicts.items() if verdict != weights.GOOD]:
            folder = settings.MODELS_DIR / pack.name
            raise CommandError(
                f"{len(bad)} of {len(verdicts)} files are not good. Remove what is wrong in "
                f"{folder} and run `manage.py models pull {pack.name}`."
            )

    def _activate(self, name: str, allow_missing: int) -> None:
        try:
            with model_change.exclusive():
                target = TemplateTarget(name, model_change.active_target().template_key)
                before = model_change.activate(
                    target, actor="command:models", allow_missing=allow_missing
                )
        except MissingTemplatesError as error:
            raise CommandError(
                f"{error}; nobody would find them. Run `manage.py reembed --pack {name}`, or "
                f"lose them from searches with --allow-missing {error.count}."
            ) from error
        self.stdout.write(f"{name} serves now, with templates {target.version}; before: {before}.")


def _calibration(entry: catalogue.Entry) -> str:
    if entry.calibrated:
        return "calibrated"
    return "provisionally calibrated" if entry.calibration else "not calibrated"
