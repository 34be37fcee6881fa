"""From a folder of labelled photos to the `quality_ranges` block of a pack.yaml."""

import random
import re
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict

import numpy as np
import yaml
from django.conf import settings
from tqdm import tqdm

from recognition.inference.arrays import Floats
from recognition.inference.pack.declaration import ModelPack
from recognition.inference.pack.specs import QualityRanges
from recognition.measuring.photos import Photo, PhotosError
from recognition.measuring.quality import fitting, looking
from recognition.measuring.quality.fitting import Fitted, Meaning
from recognition.packs import engine
from recognition.packs.scores import ScoreScale, level_confidence

# People whose photos are made worse; up to two of each, if there are two.
_PEOPLE = 120


def measure(pack: ModelPack, photos: Sequence[Photo], *, data: str, workers: int) -> Fitted:
    """Raises PhotosError; PackError when the pack is not calibrated."""
    means = _meaning(pack)
    limits = {"max_bytes": settings.MAX_IMAGE_BYTES, "max_pixels": settings.MAX_IMAGE_PIXELS}
    looks = looking.look(
        photos, _chosen(photos), pack, settings.MODELS_DIR, limits, workers=workers
    )
    try:
        seen = list(tqdm(looks, total=len(photos), unit="photo", desc=f"Looking ({pack.name})"))
    except BrokenProcessPool as error:
        raise PhotosError(f"The photos could not be looked at: {error}") from error
    return fitting.fit([face for faces in seen for face in faces], means, data=data)


def _meaning(pack: ModelPack) -> Meaning:
    scale = ScoreScale(engine.calibration_of(pack))

    def alike(a: Floats, b: Floats) -> Floats:
        products: Floats = (pack.compared(a) * pack.compared(b)).sum(axis=1)
        return products

    return Meaning(
        alike,
        match=scale.cosine_of_confidence(level_confidence("standard")),
        stranger=scale.cosine_of_fmr(fitting.LIKE_A_STRANGER),
    )


def _chosen(photos: Sequence[Photo]) -> frozenset[Photo]:
    """Two photos of some people, first of all of those who have two."""
    of_person: dict[str, list[Photo]] = {}
    for photo in photos:
        of_person.setdefault(photo.person, []).append(photo)
    people = sorted(of_person)
    random.Random(0).shuffle(people)
    people.sort(key=lambda person: len(of_person[person]) < 2)
    return frozenset(photo for person in people[:_PEOPLE] for photo in of_person[person][:2])


def described(fitted: Fitted) -> Iterator[str]:
    """What was found, in lines for a person."""
    ranges = fitted.ranges
    yield f"{ranges.photos} faces; flaws of faces that were left out of the fit:"
    for flaw in fitted.flaws:
        yield (
            f"  {flaw.name:9}  {flaw.caught:6.1%} of {flaw.flawed} flawed faces are refused, "
            f"{flaw.refused:.2%} of the ordinary ones"
        )
    missing = sorted(set(fitting.FLAWS) - {flaw.name for flaw in fitted.flaws})
    if missing:
        yield f"  too few faces to judge: {', '.join(missing)}"
    yield "True matches that are left when one of two photos is made worse:"
    for rung in fitted.ladder:
        left = "too few" if np.isnan(rung.kept) else f"{rung.kept:6.1%}"
        yield f"  {rung.kind:5} {rung.rung:<5g} {left} of {rung.pairs}"
    for name in ("size", "light", "contrast", "mirror"):
        yield f"{name:9} {getattr(ranges, name)}"


def to_yaml(ranges: QualityRanges) -> str:
    """The block of pack.yaml, one flaw a line."""
    values = asdict(ranges)
    flaws = values.pop("flaws")
    text = yaml.safe_dump(
        {"quality_ranges": {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}},
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
    )
    rows = [{**flaw, "range": list(flaw["range"])} for flaw in flaws]
    lines = (
        yaml.safe_dump(row, default_flow_style=True, sort_keys=False, width=10**6) for row in rows
    )
    return text + ("  flaws:\n" + "".join(f"  - {line}" for line in lines) if rows else "")


def replaced(text: str, ranges: QualityRanges) -> str:
    """pack.yaml with the new block before the calibration; all else stays to the letter."""
    kept = re.sub(r"^quality_ranges:\n(?:[ -].*\n)*\n?", "", text, flags=re.MULTILINE)
    head, mark, tail = kept.partition("\ncalibration:\n")
    return f"{head.rstrip()}\n\n{to_yaml(ranges)}{mark and f'{mark}{tail}'}"
