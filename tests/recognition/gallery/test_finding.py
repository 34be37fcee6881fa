"""Who is found among people with several faces: everybody as if they had one face."""

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from recognition.gallery import comparing, finding
from recognition.gallery.probe import SearchProbe
from recognition.gallery.scope import Gallery, Scope
from recognition.gallery.statements import searching
from recognition.inference.pack.declaration import SeveralPhotos
from recognition.models import User
from recognition.packs import engine
from recognition.packs.engine import Engine
from recognition.packs.scores import ScoreScale, Threshold
from recognition.verification import template_cache
from tests.support.builders import (
    FRIEND,
    OWNER,
    STRANGER,
    fake_engine,
    make_face,
    make_templates,
    make_user,
    near,
    vector,
)

pytestmark = pytest.mark.django_db
EVERYONE = Scope(viewer=None, everyone=True)
SEVERAL = SeveralPhotos(1e-4, 0.8, 0.85, ())
PROBE = np.pad(vector(1), (0, 384))


def engine_with(several: SeveralPhotos | None) -> Engine:
    calibration = engine.calibration_of(engine.pack("dlib"))
    return replace(fake_engine(), scores=ScoreScale(replace(calibration, several_photos=several)))


def find(
    by: Engine,
    threshold: Threshold,
    *,
    limit: int = 10,
    by_user: bool = False,
    probe: SearchProbe | None = None,
) -> list[finding.Found]:
    probe = probe or SearchProbe(PROBE)
    with searching():
        gallery = Gallery.visible_to(EVERYONE, by)
        return finding.find(gallery, probe, threshold, limit=limit, by_user=by_user)


@pytest.fixture
def by() -> Engine:
    return engine_with(SEVERAL)


@pytest.fixture
def people(by: Engine) -> None:
    """One who has a face just above `standard`, and two who have such a face and four others."""
    standard = by.scores.cosine_of_fmr(0.9e-4)
    make_face(make_user(OWNER), near(vector(1), standard))
    for user, best in ((FRIEND, standard + 0.001), (STRANGER, by.scores.cosine_of_fmr(1e-5))):
        crowded = make_user(user)
        make_face(crowded, near(vector(1), best))
        for number in range(4):
            make_face(crowded, near(vector(1), 0.7, toward=20 + number))


def test_it_works(by: Engine, people: None) -> None:
    """Five chances at 0.7e-4 are more than one at 1e-4."""
    found = find(by, by.scores.cut(0.85, None, 0))
    assert [(one.user_id, one.faces) for one in found] == [(STRANGER, 5), (OWNER, 1)]
    rates = [by.scores.fmr(one.cosine) for one in found]
    assert rates == pytest.approx([1e-5 * 5**0.8, 0.9e-4], rel=0.1)


def test_without_a_measurement_every_face_is_a_chance(people: None) -> None:
    by = engine_with(None)
    found = find(by, by.scores.cut(0.8, None, 0))
    rates = {one.user_id: by.scores.fmr(one.cosine) for one in found}
    assert rates[STRANGER] == pytest.approx(5e-5, rel=0.1)
    assert rates[FRIEND] == pytest.approx(5 * 0.72e-4, rel=0.1)


def test_faces_are_not_counted_twice(by: Engine, people: None) -> None:
    """The second cut counts all faces of the gallery, so it takes no account of whose they are."""
    rate = 1.1e-5 * 11  # of the nearest face of the one with five
    found = find(by, by.scores.cut(0.8, rate, 11))
    assert [one.user_id for one in found] == [STRANGER]


def test_only_faces_that_are_compared_count(by: Engine, people: None) -> None:
    user = User.objects.get(pk=FRIEND)
    user.faces.exclude(pk=user.faces.earliest("pk").pk).update(searchable=False)
    found = find(by, by.scores.cut(0.85, None, 0))
    assert {one.user_id: one.faces for one in found}[FRIEND] == 1


def test_a_mean_of_many_is_worth_more(by: Engine) -> None:
    """Strangers reach a mean of four as seldom as a single face at a higher cosine."""
    user = make_user(OWNER)
    for number in range(4):
        make_face(user, near(vector(1), by.scores.cosine_of_fmr(1.5e-4), toward=20 + number))
    standard = by.scores.cut(0.85, None, 0)
    assert not find(by, standard)
    (found,) = find(by, standard, by_user=True)
    assert (found.faces, by.scores.fmr(found.cosine) < 1e-4) == (4, True)


@pytest.fixture
def few_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search begins with so few people that a small gallery has more of them."""
    monkeypatch.setattr(finding, "_MOST_AT_FIRST", 0)
    monkeypatch.setattr(finding, "_FEWEST", 1)


def test_a_mean_of_many_that_is_not_among_the_first(by: Engine, few_at_first: None) -> None:
    for number in range(9):
        make_face(make_user(UUID(int=number + 1)), near(vector(1), 0.962 + number / 2000))
    crowded = make_user(OWNER)
    for number in range(6):
        make_face(crowded, near(vector(1), 0.96, toward=20 + number))
    assert by.scores.worth_of_mean(0.96, 6) > 0.967
    (found,) = find(by, by.scores.cut(0.5, None, 0), limit=1, by_user=True)
    assert (found.user_id, found.faces) == (OWNER, 6)


def test_one_below_the_mean_of_strangers(by: Engine, few_at_first: None) -> None:
    """There a mean of many is worth less than a single face, so the next may be worth more."""
    mean, step = by.scores.stranger_mean, by.scores.stranger_deviation
    for user, faces, below in ((OWNER, 6, 0.5), (FRIEND, 6, 0.51), (STRANGER, 1, 0.52)):
        crowded = make_user(user)
        for number in range(faces):
            make_face(crowded, near(vector(1), mean - below * step, toward=20 + number))
    (found,) = find(by, by.scores.cut(0, None, 0), limit=1, by_user=True)
    assert found.user_id == STRANGER


def test_a_call_compares_as_a_verification_does(by: Engine, people: None) -> None:
    for user in (OWNER, FRIEND):
        known = comparing.compare_with_user(by, user, PROBE)
        cached = template_cache.compare(by, user, PROBE)
        assert known and cached
        assert cached.face_id == known.face_id
        assert cached.by_face == pytest.approx(known.by_face, abs=1e-5)
        assert cached.by_mean == pytest.approx(known.by_mean, abs=1e-5)
        assert cached.photo_distance == pytest.approx(known.photo_distance, abs=1e-3)


# --- all of it once more, in Python ---------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    faces: list[list[float]]  # of each user, the cosines
    confidence: float
    rate: float | None
    limit: int
    by_user: bool
    photos: int


# As they are stored: no two are the same.
COSINES = [float(np.float16(value)) for value in np.arange(0.88, 0.995, 0.0006)]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    counts = draw(st.lists(st.integers(1, 6), min_size=1, max_size=9))
    cosines = draw(st.permutations(sorted(set(COSINES))))
    faces = [[cosines.pop() for _ in range(count)] for count in counts]
    return Case(
        faces,
        draw(st.sampled_from([0.0, 0.5, 0.8, 0.85, 0.9])),
        draw(st.sampled_from([None, None, 0.01, 0.001])),
        draw(st.sampled_from([1, 2, 3, 20])),
        draw(st.booleans()),
        draw(st.sampled_from([1, 1, 2, 5])),
    )


def probe_of(photos: int) -> SearchProbe:
    """Their mean has a little less than the cosine of PROBE to all faces of a case."""
    looks = [np.pad(near(vector(1), 0.97, toward=20 + n), (0, 384)) for n in range(photos)]
    probe = SearchProbe.of_one_person(np.stack(looks if photos > 1 else [PROBE]))
    as_stored = probe.template.astype(np.float16)  # and as it is compared
    return replace(probe, template=as_stored.astype(np.float32))


def expected(case: Case, scores: ScoreScale, threshold: Threshold) -> list[float]:
    """What those who are found are worth, best first."""
    worth, probe = [], probe_of(case.photos)
    along = float(probe.template @ PROBE)  # of what the photos share with the faces
    for cosines in case.faces:
        count = len(cosines)
        cosine = float(np.mean(cosines)) if case.by_user else max(cosines)
        worth_of = scores.worth_of_mean if case.by_user else scores.worth_of_nearest
        one = worth_of(probe.worth(scores, cosine * along), count)
        if one >= scores.needed(threshold, count):
            worth.append(one)
    return sorted(worth, reverse=True)[: case.limit]


@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.generate],  # shrinking a failure takes many minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(case=cases(), several=st.sampled_from([SEVERAL, None]))
def test_nobody_is_lost_to_a_limit(
    db: Any, few_at_first: None, case: Case, several: SeveralPhotos | None
) -> None:
    by = engine_with(several)
    threshold = by.scores.cut(case.confidence, case.rate, sum(map(len, case.faces)))
    with transaction.atomic():
        rows = []
        for number, cosines in enumerate(case.faces):
            user = make_user(UUID(int=number + 1))
            rows += [(user, near(vector(1), cosine), "") for cosine in cosines]
        make_templates(rows)
        probe = probe_of(case.photos)
        found = find(by, threshold, limit=case.limit, by_user=case.by_user, probe=probe)
        transaction.set_rollback(True)
    assert [one.cosine for one in found] == pytest.approx(
        expected(case, by.scores, threshold), abs=1e-5
    )
    assert all(one.faces == len(case.faces[one.user_id.int - 1]) for one in found)


def test_callers_do_not_choose_how_many_statements_are_kept(
    by: Engine, people: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each connection keeps every statement with its plan."""
    nearest, asked = finding.plans.nearest, set()

    def seen(*args: Any, limit: int, **options: Any) -> Any:
        asked.add(limit)
        return nearest(*args, limit=limit, **options)

    monkeypatch.setattr(finding.plans, "nearest", seen)
    for limit in (1, 2, 9, 10, 11, 19, 20, 33, 50, 99, 100):
        assert len(find(by, by.scores.cut(0.85, None, 0), limit=limit)) == min(limit, 2)
    assert asked == {20, 40, 80, 160, 320}
