"""The moderators' search by photo, among all people."""

from dataclasses import dataclass

from recognition import audit
from recognition.gallery import plans
from recognition.gallery.search import Candidate, Gallery
from recognition.gallery.statements import statements
from recognition.identification import identifying
from recognition.identification.identifying import SearchOptions, Threshold
from recognition.inference.pipeline import DetectedFace
from recognition.packs import engine
from recognition.packs.engine import Engine
from recognition.packs.thresholds import BASIC
from recognition.processes.capacity import stage

# The most faces of a photo that are looked up, the main one first, and people shown for each.
_FACES, _PEOPLE = 4, 12


@dataclass(frozen=True)
class FoundFace:
    """A face of the photo, and the people who resemble it, best first."""

    face: DetectedFace
    candidates: list[Candidate]


@dataclass(frozen=True)
class PhotoSearch:
    by: Engine
    faces: list[FoundFace]
    searched: int  # templates
    sure: Threshold  # from where on `identify` would name somebody

    def is_sure(self, candidate: Candidate) -> bool:
        return candidate.cosine >= self.sure.cosine

    def strangers(self, candidate: Candidate) -> float:
        """The expected number of strangers in this gallery who resemble the face as much."""
        return self.by.scores.fmr(candidate.cosine) * self.searched


def find_by_photo(*, actor: str, image: bytes) -> PhotoSearch:
    """Everybody who resembles a face on the photo, including suspended and unsearchable people.

    The photo is not kept. Raises ImageError, OverloadedError.
    """
    with engine.at_work() as active:
        probes = active.embed(active.look_at(image)[:_FACES])
    with stage("search"), statements():
        gallery = Gallery.of_everybody(active)
        least = active.scores.cosine_of_confidence(BASIC)
        found = [
            FoundFace(
                probe, plans.nearest(gallery, active.template(probe), least=least, limit=_PEOPLE)
            )
            for probe in probes
        ]
    sure = identifying.cut(active, SearchOptions(min_confidence=BASIC), gallery.searched)
    candidates = sum(len(each.candidates) for each in found)
    audit.note(actor, "face.find_by_photo", faces=len(found), candidates=candidates)
    return PhotoSearch(active, found, gallery.searched, sure)
