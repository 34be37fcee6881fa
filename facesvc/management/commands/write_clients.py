from typing import Any

from django.core.management.base import BaseCommand

from facesvc.openapi.clients import written


class Command(BaseCommand):
    requires_system_checks = []
    help = (
        "For developers: make the calls of the Python client, and the types of both clients, of "
        "the API description. `make docs` runs it."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        made = written.files()
        for path, text in made.items():
            path.write_text(text)
        self.stdout.write(f"{len(made)} files of the clients are as the API description says.")
