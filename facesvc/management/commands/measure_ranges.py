import json
import re
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from facesvc.management.service_command import ServiceCommand
from recognition.inference.images import ImageError, decode
from recognition.inference.pack.declaration import pack_file
from recognition.inference.pack.files import EightBits
from recognition.measuring import ranges
from recognition.measuring.folders import prepared
from recognition.measuring.photos import find_photos
from recognition.packs import engine

_PHOTOS = 216  # six groups of the largest kind


class Command(ServiceCommand):
    # The checks complain about a pack that is not ready; this command can make it ready.
    requires_system_checks = []
    help = (
        "Measure on a folder of portraits which values the tensors of a pack's detector have, and "
        "write them into its pack.yaml, so that the detector can compute with 8-bit integers."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument("--pack", required=True)
        parser.add_argument("--data", help="name of the data set (default: that of the folder)")

    def handle(self, *args: Any, **options: Any) -> None:
        folder: Path = options["folder"]
        declared = engine.pack(options["pack"])
        last, pack = ranges.last_in_floats(declared), prepared(ranges.in_floats(declared))
        found = list(find_photos(folder)) if folder.is_dir() else []
        photos = []
        limits = {"max_bytes": settings.MAX_IMAGE_BYTES, "max_pixels": settings.MAX_IMAGE_PIXELS}
        for photo in found[:: max(1, len(found) // _PHOTOS)][:_PHOTOS]:
            try:
                photos.append(decode(photo.path.read_bytes(), **limits))
            except (ImageError, OSError) as error:
                self.stderr.write(f"{photo.path} is left out: {error}")
        if not photos:
            raise CommandError(f"{folder} has no photos.")
        data = options["data"] or folder.resolve().name
        measured = ranges.measure(pack, photos, settings.MODELS_DIR, data=data, last=last)
        path = pack_file(pack.name, settings.PACK_FOLDERS)
        path.write_text(replaced(path.read_text(), measured))
        self.stdout.write(
            f"{len(measured.ranges)} ranges of {len(photos)} photos are in {path}. "
            f"`manage.py evaluate` before and after says whether the pack loses anything."
        )


def replaced(text: str, measured: EightBits) -> str:
    """The text of a pack.yaml with these ranges of its detector, as one line."""
    text = re.sub(r"^    eight_bits: .*\n", "", text, flags=re.MULTILINE)
    line = f"    eight_bits: {json.dumps(asdict(measured))}\n"
    return re.sub(
        r"(?<=^detector:\n)(?s:.*?)^  weights:\n", lambda at: at[0] + line, text, flags=re.MULTILINE
    )
