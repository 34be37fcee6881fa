from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from facesvc.collection_files import exporting, passphrases
from facesvc.management.service_command import ServiceCommand
from recognition import audit
from recognition.collections.current import DEFAULT, entered
from recognition.collections.doors import UnknownCollectionError, find


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
        try:
            collection = DEFAULT if name == DEFAULT.name else find(name).entered
        except UnknownCollectionError as error:
            raise CommandError(f"There is no collection {name}.") from error
        with entered(collection):
            counts = exporting.export(file, passphrase)
        with entered(DEFAULT):
            users, faces = counts["recognition_user"], counts["recognition_face"]
            actor = "command:export_collection"
            audit.note(actor, "collection.export", collection=name, users=users, faces=faces)
        self.stdout.write(
            f"{file} has {users} users and {faces} faces of {name}, encrypted with the passphrase."
        )
