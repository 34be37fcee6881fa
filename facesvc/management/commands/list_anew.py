from typing import Any

from facesvc.management.service_command import CommandInEach
from recognition.gallery import indexes
from recognition.models import Listing


class Command(CommandInEach):
    help = (
        "Make what searches read (listings, sketches and counts) once more from the templates, for "
        "a database that was filled without its triggers, as by pg_restore --data-only "
        "--disable-triggers. Searches wait until it is done. It does so in each collection."
    )

    def handle_here(self, **options: Any) -> None:
        indexes.list_anew()
        self.stdout.write(f"{Listing.objects.count()} templates are listed.")
