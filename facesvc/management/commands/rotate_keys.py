from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from tqdm import tqdm

from facesvc.management.commands.reembed import run
from facesvc.management.service_command import CommandInEach
from recognition import model_change
from recognition.model_change import MissingTemplatesError, TemplateTarget
from recognition.models import FaceCrop
from recognition.packs import protection
from recognition.privacy import sealing
from recognition.privacy.keeping import sealed_models


class Command(CommandInEach):
    help = (
        "Encrypt the stored crops, waiting pictures, webhook secrets and access keys with the "
        "newest of FACESVC_CROP_KEYS, and protect the templates with the newest of "
        "FACESVC_TEMPLATE_KEYS. Needs no pictures. It does so in each collection."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workers", type=int, default=1)
        parser.add_argument(
            "--allow-missing", type=int, default=0, metavar="N", help="faces that may be lost"
        )
        parser.add_argument(
            "--unprotect", action="store_true", help="store the templates without a key from now on"
        )

    def handle_here(self, **options: Any) -> None:
        unreadable = self._rotate_sealed() if settings.FACESVC_CROP_KEYS else []
        try:
            with model_change.exclusive():
                self._rotate_templates(options)
        except MissingTemplatesError as error:
            raise CommandError(
                f"{error.count} faces would be lost: nothing is changed over. "
                f"--allow-missing {error.count} loses them."
            ) from error
        if unreadable:
            failed = " and ".join(unreadable)
            raise CommandError(f"{failed} cannot be opened by any key; they stay.")

    def _rotate_sealed(self) -> list[str]:
        """Crops, and what else is sealed with their keys; how many of what no key opens."""
        unreadable = []
        for kind in sealed_models():
            total = kind._default_manager.count()
            name = "crops" if kind is FaceCrop else str(kind._meta.verbose_name_plural)
            done = list(tqdm(sealing.rotate(kind), total=total, desc=name))
            self.stdout.write(f"{sum(done)} {name} are encrypted with the newest key.")
            if not all(done):
                unreadable.append(f"{len(done) - sum(done)} {name}")
        return unreadable

    def _rotate_templates(self, options: dict[str, Any]) -> None:
        now = model_change.active_target()
        key = protection.NO_KEY if options["unprotect"] else protection.newest_key()
        if now.template_key and not key and not options["unprotect"]:
            raise CommandError(
                "The templates are protected and FACESVC_TEMPLATE_KEYS is empty: set it, or say "
                "--unprotect with the old key in it."
            )
        if now.template_key == key:
            self.stdout.write("The templates have this key already.")
        else:
            target = TemplateTarget(now.pack, key)
            run(self, target, options["workers"])
            model_change.activate(
                target, actor="command:rotate_keys", allow_missing=options["allow_missing"]
            )
            self.stdout.write("The templates have the key.")
        # Templates of other models would stay readable with the old key, or without any key.
        for version in model_change.retired_versions():
            count = model_change.drop(version)
            self.stdout.write(f"{count} templates of {version} are dropped.")
