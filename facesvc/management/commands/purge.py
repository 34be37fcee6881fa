from typing import Any

from facesvc.management.service_command import CommandInEach
from recognition import model_change
from recognition.privacy.keeping import retention_rules


class Command(CommandInEach):
    help = (
        "Drop what is older than the settings say, and the templates of models that served once. "
        "There is no rollback after it. It does so in each collection."
    )

    def handle_here(self, **options: Any) -> None:
        for rule in retention_rules():
            self.stdout.write(rule())
        with model_change.exclusive():
            for version in model_change.retired_versions():
                count = model_change.drop(version)
                self.stdout.write(f"{count} templates of {version} are dropped.")
