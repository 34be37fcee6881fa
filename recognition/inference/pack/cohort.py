"""A cohort: faces that every embedding is compared with, to see how much a cosine says about it.

Some faces are alike to many people, so a high cosine says little about them. A pack with a cohort
takes that off (docs/decisions/0011-normalised-scores.md). The score of two faces a and b is

    cosine(a, b) - weight * (t(a) - level) - weight * (t(b) - level)

where t(x) is the mean of the `nearest` highest cosines of x with the cohort, and `level` its mean
over people. So that it stays one inner product, an embedding e becomes one number longer:

    [e, h + x / h]    with x = -weight * (t(e) - level)

The product of two of these is the score, and h squared more. It also has the product of both x,
divided by h squared, which is small against what tells people apart, and was measured along.
"""

import io
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

import numpy as np

from recognition.inference.arrays import Floats
from recognition.inference.pack.schema import SchemaError

# The number h. At 1, half precision would blur a score by 2e-4; at 1/4, the product of two x is as
# large as what is taken off. The pack dlib tells as many people apart with 1/2 as without both.
_MIDDLE = 0.5


@dataclass(frozen=True)
class Cohort:
    """What pack.yaml says of it, and the content of `file`, which is nobody's template.

    `file` has (C, D) int8 numbers in numpy's format: the means of groups of `people`, up to a
    factor each.
    """

    file: str
    sha256: str
    data: str
    people: int
    photos: int
    nearest: int
    weight: float
    level: float
    table: bytes = b""

    def check(self, dimensions: int) -> None:
        """Raises SchemaError when the file, or what is said of it, cannot be right."""
        if sha256(self.table).hexdigest() != self.sha256:
            raise SchemaError(f"cohort.sha256 is not that of {self.file}: restore the file")
        try:
            shape = self.centres.shape
        except ValueError as error:
            raise SchemaError(f"{self.file} is no table of numpy: {error}") from error
        if len(shape) != 2 or shape[1] != dimensions or not 1 <= self.nearest <= shape[0]:
            raise SchemaError(
                f"{self.file} is {shape}: recogniser.dimensions ({dimensions}) or cohort.nearest "
                f"({self.nearest}) do not fit"
            )
        if not 0 < self.weight <= 1:
            raise SchemaError("cohort.weight must be above 0 and at most 1")
        if not -1 <= self.level <= 1:
            raise SchemaError("cohort.level must be the mean of cosines, from -1 to 1")

    @cached_property
    def mark(self) -> str:
        """Differs for cohorts whose templates cannot be compared with each other."""
        said = f"{self.sha256} {self.nearest} {self.weight} {self.level}"
        return sha256(said.encode()).hexdigest()[:8]

    @cached_property
    def centres(self) -> Floats:
        """(C, D) unit vectors. Raises ValueError."""
        table = np.lib.format.read_array(io.BytesIO(self.table), allow_pickle=False)
        if table.dtype != np.int8:
            raise ValueError("its numbers are not int8")
        table = table.astype(np.float32)
        lengths = np.linalg.norm(table, axis=-1, keepdims=True)
        if not (lengths > 0).all():
            raise ValueError("a centre is 0")
        centres: Floats = table / lengths
        return centres

    def extended(self, embeddings: Floats) -> Floats:
        """(N, D) unit vectors to (N, D + 1), whose inner products are the scores."""
        return extended(embeddings, self.weight * (self.level - self.nearness(embeddings)))

    def nearness(self, embeddings: Floats) -> Floats:
        """(N,) the mean of the `nearest` highest cosines with the cohort."""
        cosines = np.sort(embeddings @ self.centres.T, axis=1)
        mean: Floats = cosines[:, -self.nearest :].mean(axis=1)
        return mean


def extended(embeddings: Floats, added: Floats) -> Floats:
    """(N, D) unit vectors to (N, D + 1), so that a score has (N,) `added` of both its faces."""
    last = (_MIDDLE + added / _MIDDLE).astype(np.float32)
    return np.concatenate([embeddings, last[:, None]], axis=1)
