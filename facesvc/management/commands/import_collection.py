from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.db import connection

from facesvc.collection_files import importing, passphrases
from facesvc.management.service_command import ServiceCommand
from recognition import audit
from recognition.collections.current import DEFAULT, entered


class Command(ServiceCommand):
    help = "Make a collection of a file that `manage.py export_collection` wrote."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--name", required=True, help="of the collection here")
        passphrases.add_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["name"]
        counts = importing.bring(options["file"], name, passphrases.read(options["passphrase"]))
        with entered(DEFAULT), connection.cursor() as cursor:
            users, faces = counts["recognition_user"], counts["recognition_face"]
            actor = "command:import_collection"
            audit.note(actor, "collection.import", collection=name, users=users, faces=faces)
            cursor.execute("ANALYZE")
        self.stdout.write(
            f"The collection {name} has {users} users and {faces} faces. No key is in the file: "
            f"`manage.py api_keys make APP --collection {name}` makes one."
        )
