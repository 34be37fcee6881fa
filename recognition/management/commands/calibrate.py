from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from recognition import calibration, engine
from recognition.calibration import Accuracy, TooFewPhotosError
from recognition.inference import weights
from recognition.inference.packs import Calibration, ModelPack, PackError, find_pack
from recognition.photo_embedding import Limits, UnreadablePhotoError, embed_photos
from recognition.photos import Photo, find_photos


class Command(BaseCommand):
    # The checks complain of a pack that is not ready, which this is to make.
    requires_system_checks = []
    help = (
        "Measure what a pack's scores mean on a folder of labelled photos (one subfolder a person) "
        "and write it into its pack.yaml."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument("--pack", default=settings.FACESVC_PACK)
        parser.add_argument("--data", help="name of the data set (default: that of the folder)")
        parser.add_argument("--workers", type=int, default=1, help="processes (default: 1)")
        parser.add_argument("--dry-run", action="store_true", help="print, write nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        folder: Path = options["folder"]
        if not folder.is_dir():
            raise CommandError(f"{folder} is not a folder.")
        try:
            pack = find_pack(options["pack"], settings.PACK_FOLDERS)
            weights.prepare(pack, settings.MODELS_DIR, engine.model_source())
            embeddings, people, missed = self._embed(
                pack, list(find_photos(folder)), options["workers"]
            )
        except (PackError, UnreadablePhotoError) as error:
            raise CommandError(str(error)) from error
        try:
            measured = calibration.calibrate(
                embeddings,
                people,
                data=options["data"] or folder.resolve().name,
                model_version=pack.model_version,
            )
        except TooFewPhotosError as error:
            raise CommandError(f"{folder} is too small: {error}.") from error
        accuracy = calibration.measure_accuracy(calibration.all_pairs(embeddings, people))
        self._report(measured, accuracy, missed)
        if not options["dry_run"]:
            path = _pack_file(options["pack"])
            path.write_text(replace_calibration(path.read_text(), measured))
            self.stdout.write(f"Written into {path}.")

    def _embed(
        self, pack: ModelPack, photos: list[Photo], workers: int
    ) -> tuple[Any, np.ndarray[tuple[int], np.dtype[np.int64]], int]:
        """Embeddings of the main faces, a number for each person, and how many had no face."""
        vectors, names, qualities = [], [], []
        limits = Limits(settings.MAX_IMAGE_BYTES, settings.MAX_IMAGE_PIXELS)
        found = embed_photos(photos, pack, settings.MODELS_DIR, limits, workers=workers)
        for face in tqdm(found, total=len(photos), unit="photo", desc="Embedding"):
            if face is not None:
                vectors.append(face.embedding)
                names.append(face.photo.person)
                qualities.append(face.quality)
        if not vectors:
            raise CommandError("No face was found in any photo.")
        refused = float(np.mean(np.array(qualities) < settings.MIN_FACE_QUALITY))
        self.stdout.write(
            f"{refused:.1%} of the faces have a quality below {settings.MIN_FACE_QUALITY}; "
            f"the lowest 3% are below {np.quantile(qualities, 0.03):.3f}."
        )
        people = np.unique(names, return_inverse=True)[1].astype(np.int64)
        return np.array(vectors), people, len(photos) - len(vectors)

    def _report(self, measured: Calibration, accuracy: Accuracy, missed: int) -> None:
        self.stdout.write(
            f"{measured.photos} photos of {measured.identities} people, {missed} without a face; "
            f"{measured.mated_pairs} mated and {measured.non_mated_pairs} non-mated pairs."
        )
        self.stdout.write(f"accuracy {accuracy.accuracy:.4f}, AUC {accuracy.auc:.5f}")
        for fmr, tar in accuracy.tar.items():
            self.stdout.write(f"TAR {tar:.4f} at FMR {fmr:g}")
        for point in measured.table:
            mark = "  extrapolated" if point.extrapolated else f"  {point.pairs} false matches"
            self.stdout.write(f"FMR {point.fmr:<8g} cosine {point.cosine:.6f}{mark}")


def _pack_file(name: str) -> Path:
    return next(
        path for folder in settings.PACK_FOLDERS if (path := folder / name / "pack.yaml").is_file()
    )


def replace_calibration(text: str, measured: Calibration) -> str:
    """pack.yaml with the new block, which is the last; all before it stays to the letter."""
    head = text.partition("\ncalibration:\n")[0].rstrip("\n")
    return f"{head}\n\n{calibration.to_yaml(measured)}"
