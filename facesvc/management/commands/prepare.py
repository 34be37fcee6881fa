import sys
from io import StringIO
from textwrap import fill
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connection

from facesvc.management.service_command import ServiceCommand
from recognition.collections.current import entered
from recognition.collections.visiting import all_collections
from recognition.inference.pack import weights
from recognition.inference.providers import Provider
from recognition.models import ActiveModel, Face
from recognition.packs import catalogue, engine, first_pack

_WIDTH = 80  # of a terminal


class Command(ServiceCommand):
    # The checks complain about what this command brings here.
    requires_system_checks = []
    help = (
        "Bring the files of the model pack here, and the database up to date; `make run` begins "
        "with it. A new database begins with the pack of FACESVC_PACK."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        Provider(settings.FACESVC_INFERENCE_PROVIDER).require()
        # `migrate` makes the row that is the choice for all processes, and asks no network.
        if _is_new():
            print(file=sys.stderr)  # below the line of the step
            call_command("models", "pull", stdout=sys.stderr)
        call_command("migrate", interactive=False, verbosity=0)
        # The packs of an old database; or another process has made the row, with another pack.
        for collection in all_collections():
            with entered(collection):
                call_command("models", "pull", stdout=StringIO())
        self.stdout.write(_which_and_why())


def _is_new() -> bool:
    """Whether nothing says which pack serves."""
    tables = connection.introspection.table_names()
    return ActiveModel._meta.db_table not in tables or not ActiveModel.objects.exists()


def _which_and_why() -> str:
    row = engine.active_model()
    lines = [f"The model pack {row.pack} compares the faces. {row.reason}".rstrip()]
    if (named := settings.FACESVC_PACK) not in (first_pack.AUTO, row.pack):
        lines += [f"FACESVC_PACK names {named} for new databases; this one keeps {row.pack}."]
    if lacking := weights.without(engine.pack(row.pack), settings.MODELS_DIR):
        lines += [f"For now {lacking}. This command fetches it:"]
        lines += [f"    manage.py models pull {row.pack}"]
    if better := catalogue.better():
        lines += [
            f"{better.pack.name} compares them better, and is free. These commands change to it:",
            *(
                f"    {command}"
                for command in catalogue.commands(better, has_faces=Face.objects.exists())
            ),
        ]
    return "\n".join(line if line[0] == " " else fill(line, _WIDTH) for line in lines)
