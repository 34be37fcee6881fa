"""POST /verify."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from recognition.gallery import comparing
from recognition.models import Attempt
from recognition.packs import engine, serving
from recognition.packs.serving import ModelChangedError
from tests.support.builders import (
    OWNER,
    PICTURE_BASE64,
    STRANGER,
    FakePipeline,
    Person,
    data_of,
    details_of,
    enrol_face,
    face_of,
    make_face,
    make_user,
    misread,
    near,
    refusal,
    vector,
)
from tests.support.photos import SHARED, astronaut, encode, jpeg, needs_shared, resized, tom_hanks

pytestmark = pytest.mark.django_db


def verify(person: Person, **fields: Any) -> dict[str, Any]:
    return data_of(person.post("verify", **{"user_id": OWNER, "image": PICTURE_BASE64, **fields}))


def scores_of(answer: dict[str, Any]) -> dict[str, float]:
    return {name: answer[name] for name in ("similarity_score", "confidence_score")}


def test_it_works(owner: Person, fake: FakePipeline) -> None:
    face = make_face(make_user(OWNER), vector(1))
    fake.show(near(vector(1), 0.98))
    answer = verify(owner)
    assert answer["similarity_score"] == 0.87
    assert answer["confidence_score"] > 0.95
    scores = {name: answer[name] for name in ("similarity_score", "confidence_score")}
    assert answer == {
        "verification_result": "success",
        "is_match": True,
        **scores,
        "nearest_face": scores,
        "mean_face": scores,
        "match_on": "face",
        "matched_face_id": face.face_id,
        "verification_level": "standard",
        "risk_assessment": {"risk_level": "low", "factors": []},
    }


def test_the_mean_of_the_faces(owner: Person, fake: FakePipeline) -> None:
    user = make_user(OWNER)
    for number, cosine in enumerate((0.98, 0.88), 2):
        make_face(user, near(vector(1), cosine, toward=number))
    fake.show(vector(1))
    by_face, by_user = verify(owner), verify(owner, match_on="user")
    assert (by_face["match_on"], by_user["match_on"]) == ("face", "user")
    assert scores_of(by_face) == by_face["nearest_face"] == by_user["nearest_face"]
    assert scores_of(by_user) == by_user["mean_face"] == by_face["mean_face"]
    scores = engine.current().scores
    worth = scores.similarity(scores.worth_of_mean(0.93, 2))
    assert by_user["similarity_score"] == pytest.approx(worth, abs=0.015)
    assert by_face["is_match"]
    assert not by_user["is_match"]


def test_a_stranger_gets_no_more_chances_against_several_faces(
    owner: Person, fake: FakePipeline
) -> None:
    """What is just enough with one face is not enough with five, unless this face is asked for."""
    user = make_user(OWNER)
    cosine = engine.current().scores.cosine_of_fmr(0.7e-4)
    face = make_face(user, near(vector(1), cosine, toward=20))
    fake.show(vector(1))
    assert verify(owner)["is_match"]
    for number in range(4):
        make_face(user, near(vector(1), 0.8, toward=21 + number))
    assert not verify(owner)["is_match"]
    assert verify(owner, face_id=face.face_id)["is_match"]


def test_one_face_has_no_mean(owner: Person, fake: FakePipeline) -> None:
    face = make_face(make_user(OWNER), vector(1))
    fields = {"user_id": OWNER, "image": PICTURE_BASE64, "face_id": face.face_id}
    response = owner.post("verify", **fields, match_on="user")
    assert refusal(response) == (400, "invalid_request")
    assert "match_on" in details_of(response)["fields"]


def test_the_mean_leaves_out_suspended_faces(owner: Person, fake: FakePipeline) -> None:
    user = make_user(OWNER)
    make_face(user, vector(1))
    make_face(user, vector(2), suspended_at=timezone.now())
    fake.show(vector(1))
    assert verify(owner)["mean_face"]["similarity_score"] == pytest.approx(1, abs=1e-3)


def test_strict_needs_thresholds_that_were_measured(
    owner: Person, fake: FakePipeline, settings: Settings
) -> None:
    settings.FACESVC_STRICT_CHECKS = []
    engine.current().scores.is_provisional = True
    make_face(make_user(OWNER), vector(1))
    fake.show(vector(1))
    assert verify(owner, verification_level="standard")["is_match"]
    refused = verify(owner, verification_level="strict")
    assert refused["verification_result"] == "rejected"
    assert "threshold_provisional" in refused["risk_assessment"]["factors"]
    settings.FACESVC_STRICT_PROVISIONAL = True
    assert verify(owner, verification_level="strict")["is_match"]


def test_real_photos(service: Person, settings: Settings) -> None:
    settings.FACESVC_STRICT_CHECKS = []
    enrol_face(OWNER, encode(astronaut()))
    smaller = base64.b64encode(jpeg(resized(astronaut(), 0.8))).decode()
    assert verify(service, image=smaller, verification_level="strict")["is_match"]
    other = base64.b64encode(encode(resized(tom_hanks(), 3))).decode()
    answer = verify(service, image=other, verification_level="basic")
    assert answer["verification_result"] == "no_match"


@needs_shared
def test_two_photos_of_one_man_and_one_of_another(service: Person) -> None:
    def photo(name: str) -> bytes:
        return (SHARED / "photos" / name).read_bytes()

    enrol_face(OWNER, photo("obama.jpg"))
    same = base64.b64encode(photo("obama2.jpg")).decode()
    assert verify(service, image=same)["is_match"]
    other = base64.b64encode(photo("biden.jpg")).decode()
    assert verify(service, image=other)["verification_result"] == "no_match"


def test_the_best_of_all_faces_counts(owner: Person, fake: FakePipeline) -> None:
    user = make_user(OWNER)
    make_face(user, vector(2))
    best = make_face(user, vector(1))
    fake.show(vector(1))
    assert verify(owner)["matched_face_id"] == best.face_id


def test_the_main_face_is_the_probe(owner: Person, fake: FakePipeline) -> None:
    make_face(make_user(OWNER), vector(2))
    fake.show([face_of(vector(1)), face_of(vector(2))])
    assert not verify(owner)["is_match"]


@pytest.mark.parametrize(
    ("level", "confidence"), [("basic", 0.80), ("standard", 0.85), ("strict", 0.95)]
)
def test_levels_are_confidences(
    owner: Person, fake: FakePipeline, settings: Settings, level: str, confidence: float
) -> None:
    settings.FACESVC_STRICT_CHECKS = []
    make_face(make_user(OWNER), vector(1))
    needed = engine.current().scores.cosine_of_confidence(confidence)
    # The stored vector has half precision, good for four digits.
    fake.show(near(vector(1), needed + 0.001))
    assert verify(owner, verification_level=level)["is_match"]
    fake.show(near(vector(1), needed - 0.001))
    assert not verify(owner, verification_level=level)["is_match"]


def test_standard_is_a_setting(owner: Person, fake: FakePipeline, settings: Settings) -> None:
    make_face(make_user(OWNER), vector(1))
    fake.show(near(vector(1), 0.95))  # confidence 0.87
    assert verify(owner)["is_match"]
    settings.VERIFICATION_THRESHOLD = 0.9
    assert not verify(owner)["is_match"]


def test_a_match_is_counted_with_its_time(owner: Person, fake: FakePipeline) -> None:
    face = make_face(make_user(OWNER), vector(1))
    other = make_face(face.user, vector(2))
    fake.show(vector(1))
    before = timezone.now()
    verify(owner)
    face.refresh_from_db()
    assert face.verification_count == 1
    assert before <= (face.last_verified_at or datetime.min.replace(tzinfo=UTC)) <= timezone.now()
    other.refresh_from_db()
    assert (other.verification_count, other.last_verified_at) == (0, None)


def test_no_match_is_not_counted(owner: Person, fake: FakePipeline) -> None:
    face = make_face(make_user(OWNER), vector(1))
    fake.show(vector(2))
    assert verify(owner)["verification_result"] == "no_match"
    face.refresh_from_db()
    assert (face.verification_count, face.last_verified_at) == (0, None)


def test_no_match_names_no_face_and_no_negative_score(owner: Person, fake: FakePipeline) -> None:
    make_face(make_user(OWNER), vector(1))
    fake.show(-vector(1))
    answer = verify(owner)
    assert answer["matched_face_id"] is None
    assert (answer["similarity_score"], answer["confidence_score"]) == (0, 0)


def test_small_faces_are_not_looked_for(owner: Person, fake: FakePipeline) -> None:
    make_face(make_user(OWNER), vector(0))
    fake.small = [face_of(vector(0))]
    answer = data_of(owner.post("verify", user_id=OWNER, image=PICTURE_BASE64))
    assert answer["verification_result"] == "no_face_detected"


def test_no_face_detected(owner: Person, fake: FakePipeline) -> None:
    make_face(make_user(OWNER), vector(1))
    fake.show([])
    answer = verify(owner)
    assert (answer["verification_result"], answer["is_match"]) == ("no_face_detected", False)


@pytest.mark.parametrize("known", [True, False])
def test_no_registered_faces(owner: Person, fake: FakePipeline, known: bool) -> None:
    if known:
        make_user(OWNER)
    fake.show(vector(1))
    answer = verify(owner)
    assert (answer["verification_result"], answer["is_match"]) == ("no_registered_faces", False)


def test_only_the_given_face_is_compared(owner: Person, fake: FakePipeline) -> None:
    user = make_user(OWNER)
    first, second = make_face(user, vector(1)), make_face(user, vector(2))
    fake.show(vector(1))
    assert verify(owner, face_id=first.face_id)["is_match"]
    assert not verify(owner, face_id=second.face_id)["is_match"]


def test_only_the_faces_of_a_group_are_compared(owner: Person, fake: FakePipeline) -> None:
    user = make_user(OWNER)
    passport = make_face(user, vector(1), face_group="passport")
    make_face(user, vector(2))
    fake.show(near(vector(1), 0.97))
    assert verify(owner, face_group="passport")["matched_face_id"] == passport.face_id
    answer = verify(owner, face_group="primary")
    assert (answer["is_match"], answer["verification_result"]) == (False, "no_match")
    by_all = verify(owner)
    assert verify(owner, face_group="passport")["confidence_score"] > by_all["confidence_score"], (
        "a stranger has one chance to match, and not two"
    )


def test_the_mean_of_the_faces_of_a_group(owner: Person, fake: FakePipeline) -> None:
    user = make_user(OWNER)
    make_face(user, near(vector(1), 0.97), face_group="passport")
    make_face(user, vector(2))
    fake.show(vector(1))
    assert not verify(owner, match_on="user")["is_match"]
    assert verify(owner, match_on="user", face_group="passport")["is_match"]


def test_a_group_without_faces(owner: Person, fake: FakePipeline) -> None:
    make_face(make_user(OWNER), vector(1))
    fake.show(vector(1))
    answer = verify(owner, face_group="passport")
    assert answer["verification_result"] == "no_registered_faces"


def test_a_face_and_a_group(owner: Person, fake: FakePipeline) -> None:
    face = make_face(make_user(OWNER), vector(1))
    fields = {"user_id": OWNER, "image": PICTURE_BASE64, "face_id": face.face_id}
    answer = owner.post("verify", **fields, face_group="primary")
    assert refusal(answer) == (400, "invalid_request")


def test_faces_of_other_models_are_not_compared(owner: Person, fake: FakePipeline) -> None:
    make_face(make_user(OWNER), vector(1), version="arcface_v1.2")
    fake.show(vector(1))
    assert verify(owner)["verification_result"] == "no_registered_faces"


def test_a_picture_is_looked_at_again_if_the_model_changes(
    owner: Person, fake: FakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_face(make_user(OWNER), vector(1))
    fake.show(vector(1))
    nearest, compared = comparing.compare_with_user, []

    def gone_at_first(*args: Any, **options: Any) -> Any:
        compared.append(nearest(*args, **options) if compared else None)
        return compared[-1]

    def changed(active: Any) -> None:
        raise ModelChangedError

    monkeypatch.setattr(comparing, "compare_with_user", gone_at_first)
    monkeypatch.setattr(serving, "require", changed)
    assert verify(owner)["is_match"]
    assert len(compared) == 2
    assert Attempt.objects.get().result == "success"


def test_suspended_people_and_faces_do_not_match(owner: Person, fake: FakePipeline) -> None:
    user = make_user(OWNER)
    make_face(user, vector(1), suspended_at=timezone.now())
    fake.show(vector(1))
    assert verify(owner)["verification_result"] == "no_registered_faces"


def test_a_suspended_user_does_not_match(owner: Person, fake: FakePipeline) -> None:
    make_face(make_user(OWNER, suspended_at=timezone.now()), vector(1))
    fake.show(vector(1))
    assert verify(owner)["verification_result"] == "no_registered_faces"


def test_unsearchable_faces_still_verify(owner: Person, fake: FakePipeline) -> None:
    make_face(make_user(OWNER, "private"), vector(1), searchable=False)
    fake.show(vector(1))
    assert verify(owner)["is_match"]


def test_risk_factors(owner: Person, fake: FakePipeline) -> None:
    make_face(make_user(OWNER), vector(1))
    fake.show(face_of(near(vector(1), 0.945), quality=0.3))  # confidence 0.855
    risk = verify(owner)["risk_assessment"]
    assert risk == {"risk_level": "high", "factors": ["score_near_threshold", "poor_quality"]}


def test_a_misread_face_is_nobodys(owner: Person, fake: FakePipeline) -> None:
    """The template of a misread photo, which an older version has let in, matches none either."""
    make_face(make_user(OWNER), vector(1))
    fake.show(misread(vector(1)))
    answer = verify(owner)
    assert (answer["verification_result"], answer["is_match"]) == ("no_face_detected", False)


# --- refusals -------------------------------------------------------------------------------------


def test_somebody_elses_user_id(stranger: Person, fake: FakePipeline) -> None:
    make_face(make_user(OWNER), vector(1))
    fake.show(vector(1))
    answer = stranger.post("verify", user_id=OWNER, image=PICTURE_BASE64)
    assert refusal(answer) == (403, "not_your_user")


def test_a_face_of_somebody_else(owner: Person, fake: FakePipeline) -> None:
    make_user(OWNER)
    theirs = make_face(make_user(STRANGER), vector(1))
    fake.show(vector(1))
    answer = owner.post("verify", user_id=OWNER, image=PICTURE_BASE64, face_id=theirs.face_id)
    assert refusal(answer) == (404, "face_not_found")


@pytest.mark.parametrize("level", ["high", "", None, 0.9, ["strict"]])
def test_an_unknown_level(owner: Person, fake: FakePipeline, level: object) -> None:
    answer = owner.post("verify", user_id=OWNER, image=PICTURE_BASE64, verification_level=level)
    assert refusal(answer) == (400, "invalid_request")
