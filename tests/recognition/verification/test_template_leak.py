"""Templates of other people, computed from the scores of `identify`.

Every score is one linear equation for a template. With as many as an embedding has dimensions the
template is known, and a picture can be made that logs in.
"""

from typing import Any

import numpy as np
import pytest
from django.http import HttpResponse

from recognition.inference.arrays import Floats
from recognition.packs import engine
from tests.support.builders import (
    OWNER,
    PICTURE_BASE64,
    FakePipeline,
    Person,
    data_of,
    face_of,
    make_face,
    make_user,
    refusal,
)

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
FACES, A_PICTURE = 1000, 100


class Attack:
    """Shows faces that the attacker chose, and computes the template of the one person to find."""

    def __init__(self, fake: FakePipeline, person: Person, search: dict[str, Any]) -> None:
        pack = engine.pack("dlib")
        self.scores = engine.current().scores
        self.mean = np.array(engine.calibration_of(pack).mean_embedding)
        self.fake, self.person, self.search = fake, person, search
        self.random = np.random.default_rng(1)
        self.target = self.somebody()
        make_face(make_user(OWNER, "public"), self.target)

    def somebody(self) -> Floats:
        """A made-up person: the mean of all people, and a direction of their own."""
        own = self.random.normal(size=len(self.mean))
        own *= np.sqrt(1 - self.mean @ self.mean) / np.linalg.norm(own)
        return unit(self.mean + own)

    def lookalike(self) -> Floats:
        """Somebody who just matches, as one stranger in a thousand does."""
        least = self.scores.cosine_of_confidence(0.801)
        other = self.somebody()
        shares = np.linspace(0, 1, 10_000)[:, None]
        mixed = shares * self.target + (1 - shares) * other
        mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
        found: Floats = mixed[np.argmax(mixed @ self.target >= least)].astype(np.float32)
        return found

    def ask(self, *embeddings: Floats) -> HttpResponse:
        """One picture with all of these faces."""
        self.fake.show([face_of(embedding) for embedding in embeddings])
        return self.person.post("identify", image=PICTURE_BASE64, search_scope=self.search)

    def known(self, faces: list[Floats]) -> list[tuple[Floats, float]]:
        """The faces for which a score is shown, with the score."""
        found = []
        for first in range(0, len(faces), A_PICTURE):
            asked = faces[first : first + A_PICTURE]
            answers = data_of(self.ask(*asked))["faces"]
            for face, answer in zip(asked, answers, strict=True):
                found += [(face, each["similarity_score"]) for each in answer["candidates"]]
        return found

    def beside(self, at: Floats) -> Floats:
        """So near that about half of them match where it just matches."""
        step = self.random.normal(size=len(at))
        return unit(at + 0.06 * step / np.linalg.norm(step))

    def improved(self, at: Floats, shown: list[tuple[Floats, float]]) -> Floats:
        """The template that fits the steps best, from what it was taken for before."""
        rows = np.array([face for face, _ in shown])
        middles = [self.scores.cosine_of_similarity(score + 0.005) for _, score in shown]
        # Half of a step is the error of an equation, in cosines 0.0005.
        damped = rows.T @ rows + 1e-4 * np.eye(len(at))
        return unit(at + np.linalg.solve(damped, rows.T @ (np.array(middles) - rows @ at)))

    def by_least_squares(self, shown: list[tuple[Floats, float]]) -> float:
        """How similar what comes out is to the target, on the pack's scale: strangers are at 0."""
        if not shown:
            return 0.0
        rows = np.array([face for face, _ in shown])
        cosines = np.array([self.scores.cosine_of_similarity(score) for _, score in shown])
        # Of all that fit the one that is nearest to the mean of all people.
        solved = np.linalg.lstsq(rows, cosines - rows @ self.mean, rcond=None)[0]
        return self.scores.similarity(float(unit(self.mean + solved) @ self.target))


def unit(vector: Floats) -> Floats:
    normalised: Floats = (vector / np.linalg.norm(vector)).astype(np.float32)
    return normalised


def test_the_attack_works_where_every_score_is_shown(fake: FakePipeline, admin: Person) -> None:
    attack = Attack(fake, admin, {"min_confidence": 0, "max_false_positive_rate": None})
    # Scores below zero are shown as 0: about half of all strangers, who tell nothing.
    known = attack.known([attack.somebody() for _ in range(400)])
    shown = [(face, score) for face, score in known if score > 0]
    assert attack.by_least_squares(shown[:128]) > 0.99


def test_strangers_tell_no_template(fake: FakePipeline, stranger: Person) -> None:
    """The one in a thousand that matches by chance changes little."""
    attack = Attack(fake, stranger, {"min_confidence": 0, "max_false_positive_rate": 1})
    faces = [attack.somebody() for _ in range(FACES - 1)]
    known = attack.known([*faces, attack.lookalike()])
    assert len(known) == 1
    assert 0.5 < attack.by_least_squares(known) < 0.6
    # The hour's faces are used up: the budget is that of the user, whatever the token.
    assert refusal(attack.ask(attack.target)) == (429, "rate_limited")


def test_nor_by_climbing_from_strangers(fake: FakePipeline, stranger: Person) -> None:
    """Goes on from whatever has the best score; nothing ever has one."""
    attack = Attack(fake, stranger, {"min_confidence": 0, "max_false_positive_rate": 1})
    at = attack.somebody()
    for _ in range(FACES // A_PICTURE):
        steps = [0.2 * (attack.somebody() - attack.mean) for _ in range(A_PICTURE)]
        known = attack.known([unit(at + step) for step in steps])
        at = max(known, key=lambda each: each[1], default=(at, 0))[0]
    assert attack.scores.similarity(float(at @ attack.target)) < 0.6


def test_what_remains(fake: FakePipeline, stranger: Person) -> None:
    """One who goes on beside a face that just matches learns the template. docs/risk.md says so,
    and has to be changed with this test."""
    attack = Attack(fake, stranger, {"min_confidence": 0, "max_false_positive_rate": 1})
    at = attack.lookalike()
    known: list[tuple[Floats, float]] = []
    reached: list[float] = []
    for _ in range(FACES // A_PICTURE):
        known += attack.known([attack.beside(at) for _ in range(A_PICTURE)])
        at = attack.improved(at, known)
        reached.append(attack.scores.similarity(float(at @ attack.target)))
    assert reached[0] < 0.65
    assert reached[3] > 0.9
    assert reached[-1] > 0.98
