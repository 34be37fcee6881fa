from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from facesvc.management.service_command import CommandInOne
from recognition import audit
from recognition.collections.current import rule
from recognition.gallery.scope import Scope
from recognition.identification import identifying
from recognition.identification.identifying import IdentificationRequest
from recognition.inference.images import ImageError


class Command(CommandInOne):
    help = "Print who is in a photo, among everybody who is enrolled."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        everybody = Scope(viewer=None, everyone=True)
        audit.note("command:identify_photo", identifying.EVERYONE)
        request = IdentificationRequest(everybody, rule("FACE_MATCH_THRESHOLD"), max_candidates=1)
        try:
            result = identifying.identify(options["file"].read_bytes(), request)
        except ImageError as error:
            raise CommandError(f"{options['file']}: {error}") from error
        scores = result.by.scores
        for identified in result.faces:
            x1, y1, x2, y2 = (round(float(value)) for value in identified.face.box)
            where = f"{x2 - x1} x {y2 - y1} at ({x1}, {y1})"
            if not identified.candidates:
                self.stdout.write(f"{where}: nobody who is enrolled")
                continue
            best = identified.candidates[0]
            confidence = scores.confidence(best.cosine)
            self.stdout.write(f"{where}: {best.user}, {best.face_id}, confidence {confidence:.3f}")
        count = len(result.faces)
        self.stdout.write(f"{count} face{'' if count == 1 else 's'} found.")
