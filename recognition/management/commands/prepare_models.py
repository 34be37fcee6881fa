from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from recognition import engine
from recognition.inference import weights
from recognition.inference.packs import PackError


class Command(BaseCommand):
    # The checks complain of a pack that is not ready, which this is to make.
    requires_system_checks = []
    help = "Bring the files of the model pack (FACESVC_PACK) into the data folder, converted."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            pack = engine.pack()
            if weights.is_prepared(pack, settings.MODELS_DIR):
                self.stdout.write(f"The pack {pack.name} is ready.")
                return
            weights.prepare(pack, settings.MODELS_DIR, engine.model_source())
        except PackError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"The pack {pack.name} is prepared in {settings.MODELS_DIR}.")
