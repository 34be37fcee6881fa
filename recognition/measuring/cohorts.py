"""Makes the cohort of a pack from half of the people in a folder, and measures it on the others.

The same people for both would make the false match rates 1.6 to 3.4 times wrong: the cohort knows
them. See recognition.inference.pack.cohort for what a cohort does.
"""

import io
import re
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import yaml

from recognition.inference.arrays import Floats
from recognition.inference.pack.cohort import Cohort
from recognition.inference.pack.declaration import ModelPack, PackError
from recognition.measuring.evaluation import tar_at_fmr
from recognition.measuring.folders import EmbeddedFolder
from recognition.measuring.pairs import Numbers, all_pairs
from recognition.measuring.photos import PhotosError
from recognition.packs import catalogue, versions

# Each centre is the mean of so many people, and no person is in two of them, so that it is nobody's
# template and none can be worked out from several. With groups of 2 or 3, or the centres of k-means
# that have as many people, the default pack tells no more people apart.
_GROUP = 4
# By trials with the default pack on both halves of lfw-a. A higher weight is fairer to groups that
# the pack confuses, and accepts fewer true pairs of all others.
_NEAREST, _WEIGHT = 3, 0.35
# With a smaller gain in the true accept rate at this false match rate a pack keeps no cohort.
_FMR, _LEAST_GAIN = 1e-4, 0.01
_SEED = 15
_COMMENT = (
    f"# What embeddings are compared with: means of {_GROUP} people each, and nobody's template."
)


@dataclass(frozen=True)
class Trial:
    """A pack with a cohort of half of the people, and the photos of the other half.

    `plain` and `normalised` are the true accept rates at FMR 1e-4, without it and with it.
    """

    pack: ModelPack
    others: EmbeddedFolder
    plain: float
    normalised: float

    @property
    def is_worth_it(self) -> bool:
        return self.normalised >= self.plain + _LEAST_GAIN

    @property
    def sentence(self) -> str:
        said = (
            f"With a cohort of half of the people, {self.normalised:.4f} of the pairs of one "
            f"person in the other half are accepted at a false match rate of {_FMR:g}; without "
            f"it {self.plain:.4f}."
        )
        return said if self.is_worth_it else f"{said} That is too little: the pack has no cohort."


def require_unused(pack: ModelPack) -> None:
    """Raises PackError if there are templates that another cohort would make incomparable.

    Those that a copy has in common with its original do not count: the original keeps its cohort.
    """
    others = (entry.pack for entry in catalogue.entries() if entry.pack.name != pack.name)
    is_copy = any(other.template_version == pack.template_version for other in others)
    if is_copy and catalogue.active_name() != pack.name:
        return
    if versions.has_templates(pack):
        raise PackError(
            f"There are templates of {pack.name}, which could not be compared with those of "
            "another cohort. Copy the pack's folder under another name, which pack.yaml has too, "
            "and calibrate the copy. Then `manage.py reembed` and `manage.py models activate` "
            "change over to it, without any picture."
        )


def attempt(folder: EmbeddedFolder, pack: ModelPack, *, data: str) -> Trial:
    """Try a cohort, for a pack that has none. Raises PhotosError."""
    numbers = np.unique(folder.people)
    half = np.random.default_rng(_SEED).permutation(numbers)[: len(numbers) // 2]
    chosen = np.isin(folder.people, half)
    own, others = folder.only(chosen).found(), folder.only(~chosen)
    cohort = make(own.embeddings, own.people, data=data)
    level = round(float(cohort.nearness(others.found().embeddings).mean()), 5)
    with_cohort = replace(pack, cohort=replace(cohort, level=level))
    compared = others.compared_by(with_cohort)
    return Trial(with_cohort, compared, _tar(others.found()), _tar(compared.found()))


def write_table(folder: Path, cohort: Cohort | None) -> None:
    """The file beside pack.yaml, which must not name it before it is there.

    Its name says its content. So the pack can be read with the former file until pack.yaml is
    replaced, and a file that pack.yaml names is never written to.
    """
    if cohort and not (path := folder / cohort.file).is_file():
        unfinished = path.with_suffix(".npy.new")
        unfinished.write_bytes(cohort.table)
        unfinished.replace(path)


def to_yaml(cohort: Cohort) -> str:
    """The `cohort` block of pack.yaml, with what it is."""
    values = asdict(cohort)
    del values["table"]
    text: str = yaml.safe_dump({"cohort": values}, sort_keys=False, allow_unicode=True)
    return f"{_COMMENT}\n{text}".rstrip("\n")


def without(text: str) -> str:
    """pack.yaml without that block and what is said above it; all else stays to the letter."""
    return re.sub(r"^(?:#.*\n)*cohort:\n(?:[ -].*\n)*\n?", "", text, flags=re.MULTILINE)


def _tar(folder: EmbeddedFolder) -> float:
    found = tar_at_fmr(all_pairs(folder.embeddings, folder.people), _FMR)
    if found is None:
        raise PhotosError(f"The folder is too small to measure a cohort at an FMR of {_FMR:g}.")
    return found.tar


def make(embeddings: Floats, people: Numbers, *, data: str) -> Cohort:
    """A cohort of all these people; `level` is to be measured on others. Raises PhotosError."""
    people = np.unique(people, return_inverse=True)[1]
    count = int(people.max()) + 1 if len(people) else 0
    if count < _NEAREST * _GROUP:
        raise PhotosError(f"{count} people are too few for a cohort.")
    of_people = np.zeros((count, embeddings.shape[1]), np.float32)
    np.add.at(of_people, people, embeddings)
    centres = _centres(_unit(of_people))
    whole = np.rint(centres * (127 / np.abs(centres).max(axis=1, keepdims=True))).astype(np.int8)
    file = io.BytesIO()
    np.save(file, whole)
    table = file.getvalue()
    digest = sha256(table).hexdigest()
    return Cohort(
        file=f"cohort-{digest[:8]}.npy",
        sha256=digest,
        data=f"{data}: half of the people, drawn with seed {_SEED}",
        people=count,
        photos=len(people),
        nearest=_NEAREST,
        weight=_WEIGHT,
        level=0.0,
        table=table,
    )


def _centres(people: Floats) -> Floats:
    """(C, D) means of groups of people who are alike, of (P, D) unit vectors.

    Microaggregation (Domingo-Ferrer and Mateo-Sanz, 2002): who is least like all who are left makes
    a group with those who are most like him or her.
    """
    centres = []
    while len(people) >= 2 * _GROUP:
        least = people[np.argmin(people @ people.mean(axis=0))]
        order = np.argsort(-(people @ least), kind="stable")
        centres.append(people[order[:_GROUP]].mean(axis=0))
        people = people[np.sort(order[_GROUP:])]
    return _unit(np.array([*centres, people.mean(axis=0)]))


def _unit(vectors: Floats) -> Floats:
    units: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return units
