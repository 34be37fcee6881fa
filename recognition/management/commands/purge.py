from typing import Any

from django.core.management.base import BaseCommand

from recognition import reembedding


class Command(BaseCommand):
    help = "Drop the templates of models that are no longer active. There is no rollback after it."

    def handle(self, *args: Any, **options: Any) -> None:
        for version in reembedding.inactive_versions():
            count = reembedding.drop(version)
            self.stdout.write(f"{count} templates of {version} are dropped.")
