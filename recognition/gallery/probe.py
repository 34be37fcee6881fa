"""What is compared with a gallery: the template of a photo, or the mean of several photos'."""

import math
from dataclasses import dataclass
from typing import Self

from recognition.inference.arrays import Floats
from recognition.packs.scores import ScoreScale


@dataclass(frozen=True)
class SearchProbe:
    """A template (512,), or the mean of the templates of `photos` photos of one person.

    The mean is shorter than they are, the more the photos differ. It is made as long as they are,
    since a search estimates by the length how many templates are near: `mean_length` is what it
    had, in lengths of a template.
    """

    template: Floats
    photos: int = 1
    mean_length: float = 1.0

    @classmethod
    def of_one_person(cls, templates: Floats) -> Self:
        """The probe for (N, 512) templates."""
        if len(templates) == 1:
            return cls(templates[0])
        mean = templates.mean(axis=0)
        squared = float((templates**2).sum(axis=1).mean())
        length = math.sqrt(float(mean @ mean) / squared)
        return cls(mean / length, len(templates), length)

    def worth(self, scores: ScoreScale, cosine: float) -> float:
        """What a cosine of the probe is worth with a single photo: as rare among strangers.

        Photos that are nearly the same say no more than one of them. So the cosine is never worth
        more than itself.
        """
        if self.photos == 1:
            return cosine
        return min(scores.worth_of_mean(cosine * self.mean_length, self.photos), cosine)

    def cosine_worth(self, scores: ScoreScale, worth: float) -> float:
        """The cosine of the probe that is worth so much."""
        if self.photos == 1:
            return worth
        return max(scores.mean_worth(worth, self.photos) / self.mean_length, worth)
