from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from facesvc.collection_files import exporting, passphrases
from facesvc.management.service_command import ServiceCommand, collection_named
from recognition import audit
from recognition.collections.current import DEFAULT, entered


class Command(ServiceCommand):
    help = (
        "Write a collection into an encrypted file, for `manage.py import_collection` of another "
        "installation. The service may run."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="of the collection")
        parser.add_argument("file", type=Path, help="it must not exist yet")
        passphrases.add_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        passphrase = passphrases.read(options["passphrase"])
        name, file = options["name"], options["file"]
        with entered(collection_named(name)):
            counts = exporting.export(file, passphrase)
        with entered(DEFAULT):
            users, faces = counts["recognition_user"], counts["recognition_face"]
            actor = "command:export_collection"
            audit.note(actor, "collection.export", collection=name, users=users, faces=faces)
        self.stdout.write(
            f"{file} has {users} users and {faces} faces of {name}, encrypted with the passphrase."
        )
