"""Sketches: the signs of a template around the centre, and what their differences mean.

Two random vectors at an angle differ in the share angle / pi of their signs. Taken around zero, the
signs would be nearly the same for everybody where a model's embeddings lie close together.
"""

from dataclasses import dataclass
from math import acos, pi, sqrt
from statistics import NormalDist

import numpy as np

from recognition.inference.arrays import Floats

# Tolerance above the expected difference, in standard deviations of a random share. On lfw-a, 2
# lose none of the mated pairs and 0.3% of the strangers who look alike enough to be shown; 1 loses
# 0.3% and 6%.
_SLACK = 2.0


@dataclass(frozen=True)
class SketchGeometry:
    """`centre` (512,) of the templates; `bits` of a sketch that are not always 0.

    `deviation` is the standard deviation of strangers' cosine around the centre.
    """

    centre: Floats
    bits: int
    deviation: float

    def bound(self, probe: Floats, cosine: float) -> int:
        """The most bits in which a template with this cosine to the probe (512,) differs."""
        # The cosine around the centre for a template at the probe's distance from it.
        distance = float(np.sum((probe - self.centre) ** 2))
        around = 1 - (1 - cosine) / max(distance, 1e-6)
        angle = acos(min(1.0, max(-1.0, around)))
        return min(self.bits, round(self.bits * angle / pi + _SLACK * sqrt(self.bits) / 2))

    def share_within(self, bound: int) -> float:
        """The approximate share of strangers' sketches that differ in at most `bits` bits."""
        deviation = sqrt(self.bits / 4 + (self.bits * self.deviation / pi) ** 2)
        return NormalDist(self.bits / 2, deviation).cdf(bound)


def sketch_of(template: Floats, centre: Floats) -> str:
    """The sketch of a template (512,) as text, bit for bit as the database makes it."""
    above = template.astype(np.float16) > centre.astype(np.float16)
    return "".join("1" if bit else "0" for bit in above)
