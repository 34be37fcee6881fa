from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from recognition import crops, engine, protection, reembedding
from recognition.management.commands.reembed import run
from recognition.models import FaceCrop
from recognition.reembedding import MissingTemplatesError, Target


class Command(BaseCommand):
    help = (
        "Encrypt the stored crops with the newest of FACESVC_CROP_KEYS and protect the templates "
        "with the newest of FACESVC_TEMPLATE_KEYS. Needs no pictures."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workers", type=int, default=1)
        parser.add_argument(
            "--unprotect", action="store_true", help="store the templates without a key from now on"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.FACESVC_CROP_KEYS:
            self._rotate_crops()
        row = engine.active_model()
        key = protection.NO_KEY if options["unprotect"] else protection.newest_key()
        if row.template_key != key:
            self._rotate_templates(Target(row.pack, key), options["workers"])
        else:
            self.stdout.write("The templates have this key already.")

    def _rotate_crops(self) -> None:
        total = FaceCrop.objects.count()
        done = list(tqdm(crops.rotate_keys(), total=total, unit="crop", desc="Crops"))
        self.stdout.write(f"{sum(done)} crops are encrypted with the newest key.")
        if not all(done):
            unreadable = len(done) - sum(done)
            raise CommandError(f"{unreadable} crops cannot be opened by any key; they stay.")

    def _rotate_templates(self, target: Target, workers: int) -> None:
        run(self, target, workers)
        try:
            before = reembedding.activate(target, actor="command:rotate_keys")
        except MissingTemplatesError as error:
            raise CommandError(f"{error}: nothing is changed over.") from error
        dropped = reembedding.drop(before)
        self.stdout.write(f"The templates are changed over; {dropped} old ones are dropped.")
