"""POST /identify."""

import base64
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event
from typing import Any
from uuid import UUID

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.db.models import F
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from recognition.identification import face_budget
from recognition.models import AuditEvent, RateWindow
from recognition.packs import engine, serving
from recognition.packs.serving import ModelChangedError
from tests.support.builders import (
    FRIEND,
    OWNER,
    PICTURE,
    PICTURE_BASE64,
    PREFIX,
    SCOPES,
    STRANGER,
    FakePipeline,
    Person,
    data_of,
    enrol_face,
    face_of,
    make_face,
    make_user,
    misread,
    near,
    refusal,
    service_token,
    user_token,
    vector,
)
from tests.support.photos import SHARED, astronaut, encode, jpeg, needs_shared, resized, six_people

pytestmark = pytest.mark.django_db


def identify(person: Person, **fields: Any) -> dict[str, Any]:
    return data_of(person.post("identify", **{"image": PICTURE_BASE64, **fields}))


def found(answer: dict[str, Any]) -> list[str]:
    return [candidate["user_id"] for candidate in answer["candidates"]]


def test_it_works(stranger: Person, fake: FakePipeline) -> None:
    picture = "https://app.example/olivia.jpg"
    face = make_face(
        make_user(OWNER, "public", display_name="Olivia", profile_image=picture), vector(1)
    )
    fake.show(near(vector(1), 0.98))
    answer = identify(stranger)
    (candidate,) = answer["candidates"]
    assert candidate == {
        "user_id": str(OWNER),
        "face_id": face.face_id,
        "similarity_score": 0.87,  # in steps of 0.01 for an end user
        "confidence_score": 0.99,
        "user_info": {
            "display_name": "Olivia",
            "profile_image": picture,
            "privacy_level": "public",
        },
    }
    assert (answer["identification_result"], answer["total_candidates"]) == ("found", 1)
    (seen,) = answer["faces"]
    assert seen["box"] == {"x": 4, "y": 4, "width": 40, "height": 40}
    assert seen["quality"]["face_quality_score"] == 0.9
    assert seen["candidates"] == answer["candidates"]
    assert answer["search_stats"]["faces_searched"] == 1


def test_a_misread_face_is_nobodys(stranger: Person, fake: FakePipeline) -> None:
    make_face(make_user(OWNER, "public"), vector(1))
    fake.show(misread(vector(1)))
    answer = identify(stranger)
    assert answer["candidates"] == []
    (seen,) = answer["faces"]
    assert seen["quality"]["reasons"] == ["not_level"]


@pytest.mark.parametrize("scale", [0.8, 1.0])
def test_six_real_people_in_one_photo(service: Person, scale: float) -> None:
    people = [UUID(int=number) for number in range(6)]
    for index, user_id in enumerate(people):
        make_user(user_id, "public")
        enrol_face(user_id, encode(six_people()), face_index=index, check_quality=False)
    again = jpeg(resized(six_people(), scale), 80)
    answer = identify(service, image=base64.b64encode(again).decode())
    assert sorted(found(face)[0] for face in answer["faces"]) == [str(one) for one in people]
    assert all(face["total_candidates"] == 1 for face in answer["faces"])
    centres = [face["box"]["x"] + face["box"]["width"] / 2 for face in answer["faces"]]
    assert abs(centres[0] / scale - 640) < 160  # of six equally large faces the most central


def test_a_real_stranger_is_not_found(service: Person) -> None:
    for index in range(6):
        user_id = UUID(int=index)
        make_user(user_id, "public")
        enrol_face(user_id, encode(six_people()), face_index=index, check_quality=False)
    answer = identify(service, image=base64.b64encode(encode(astronaut())).decode())
    assert answer["identification_result"] == "not_found"


@needs_shared
def test_two_people_by_name(service: Person) -> None:
    for name, user_id in (("obama", OWNER), ("biden", FRIEND)):
        make_user(user_id, "public", display_name=name)
        photo = (SHARED / "photos" / f"{name}.jpg").read_bytes()
        enrol_face(user_id, photo)
    photo = base64.b64encode((SHARED / "photos" / "two_people.jpg").read_bytes()).decode()
    answer = identify(service, image=photo)
    names = {face["candidates"][0]["user_info"]["display_name"] for face in answer["faces"]}
    assert names == {"obama", "biden"}


def test_one_row_a_user_with_the_best_face(service: Person, fake: FakePipeline) -> None:
    user = make_user(OWNER, "public")
    make_face(user, near(vector(1), 0.97))
    best = make_face(user, vector(1))
    make_face(make_user(FRIEND, "public"), near(vector(1), 0.98))
    fake.show(vector(1))
    answer = identify(service)
    assert found(answer) == [str(OWNER), str(FRIEND)]
    assert answer["candidates"][0]["face_id"] == best.face_id


def test_the_best_is_the_surest(service: Person, fake: FakePipeline) -> None:
    """A stranger resembles one of three faces more often than the only one."""
    several = make_user(OWNER, "public")
    for number, cosine in enumerate((0.971, 0.9, 0.9)):
        make_face(several, near(vector(1), cosine, toward=20 + number))
    make_face(make_user(FRIEND, "public"), near(vector(1), 0.97))
    fake.show(vector(1))
    first, second = identify(service)["candidates"]
    assert (first["user_id"], second["user_id"]) == (str(FRIEND), str(OWNER))
    for score in ("similarity_score", "confidence_score"):
        assert first[score] > second[score]


def test_scores_do_not_say_how_many_faces_somebody_has(service: Person, fake: FakePipeline) -> None:
    """Both are those of one face: a pair of scores that one face never has would give it away."""
    several = make_user(OWNER, "public")
    for number in range(4):
        make_face(several, near(vector(1), 0.98, toward=20 + number))
    fake.show(vector(1))
    (candidate,) = identify(service)["candidates"]
    scores = engine.current().scores
    with_one_face = scores.cosine_of_confidence(candidate["confidence_score"])
    assert candidate["similarity_score"] == pytest.approx(
        scores.similarity(with_one_face), abs=2e-3
    )
    assert with_one_face < 0.979


def test_the_number_of_candidates_is_limited(service: Person, fake: FakePipeline) -> None:
    for user_id, cosine in ((OWNER, 0.97), (FRIEND, 0.99), (STRANGER, 0.98)):
        make_face(make_user(user_id, "public"), near(vector(1), cosine))
    fake.show(vector(1))
    answer = identify(service, search_scope={"max_candidates": 2})
    assert found(answer) == [str(FRIEND), str(STRANGER)]
    assert answer["search_stats"]["faces_searched"] == 3


def test_nobody_below_the_cut_is_named(service: Person, fake: FakePipeline) -> None:
    make_face(make_user(OWNER, "public"), vector(1))
    fake.show(near(vector(1), 0.9))
    answer = identify(service)
    assert answer["identification_result"] == answer["faces"][0]["identification_result"]
    assert answer["identification_result"] == "not_found"
    assert (answer["candidates"], answer["total_candidates"]) == ([], 0)
    assert answer["search_stats"]["faces_searched"] == 1


def test_min_confidence(service: Person, fake: FakePipeline) -> None:
    make_face(make_user(OWNER, "public"), vector(1))
    fake.show(near(vector(1), 0.95))  # confidence 0.87
    assert found(identify(service)) == [str(OWNER)]
    answer = identify(service, search_scope={"min_confidence": 0.9})
    assert found(answer) == []
    assert answer["search_stats"]["threshold"]["cut"] == "min_confidence"
    assert answer["search_stats"]["threshold"]["confidence_score"] == pytest.approx(0.9)


def test_an_end_user_sees_nobody_below_the_threshold(
    stranger: Person, service: Person, fake: FakePipeline
) -> None:
    """Whatever is asked for: the scores of people who do not match would tell their templates."""
    make_face(make_user(OWNER, "public"), vector(1))
    make_user(STRANGER)
    fake.show(near(vector(1), 0.9))  # no match
    low = {"min_confidence": 0, "max_false_positive_rate": 1}
    for person, fields in ((stranger, {}), (service, {"on_behalf_of": STRANGER})):
        answer = identify(person, search_scope=low, **fields)
        assert found(answer) == []
        assert answer["search_stats"]["threshold"]["confidence_score"] == 0.8
    assert found(identify(service, search_scope=low)) == [str(OWNER)]  # for nobody: its own search


def test_end_users_see_scores_in_steps(
    stranger: Person, service: Person, fake: FakePipeline
) -> None:
    make_face(make_user(OWNER, "public"), vector(1))
    make_user(STRANGER)
    fake.show(near(vector(1), 0.9567))
    fine, coarse, on_behalf = (
        identify(person, **fields)["candidates"][0]
        for person, fields in (
            *((service, {}), (stranger, {})),
            (service, {"on_behalf_of": STRANGER}),
        )
    )
    assert (fine["similarity_score"], fine["confidence_score"]) == (0.7324, 0.9189)
    assert (coarse["similarity_score"], coarse["confidence_score"]) == (0.73, 0.91)
    assert on_behalf == coarse


@pytest.mark.parametrize("path", ["identify", "batch-identify"])
def test_no_limit_of_false_positives_is_for_administrators(
    service: Person, admin: Person, path: str
) -> None:
    picture = {"image": PICTURE_BASE64}
    body = {"images": [{"image_id": "a", **picture}]} if "batch" in path else picture
    search = {"max_false_positive_rate": None}
    answers = [person.post(path, **body, search_scope=search) for person in (service, admin)]
    assert refusal(answers[0]) == (403, "insufficient_scope")
    assert answers[1].status_code == 200


def test_faces_are_counted_for_the_user(
    stranger: Person, service: Person, fake: FakePipeline, settings: Settings
) -> None:
    """Also those that a service looks up for the user; its own searches are not."""
    settings.FACESVC_FACES_PER_HOUR = 5
    make_user(STRANGER)
    fake.show([vector(1), vector(2), vector(3)])
    hers = {"image": PICTURE_BASE64, "on_behalf_of": STRANGER}
    statuses = [
        stranger.post("identify", image=PICTURE_BASE64).status_code,
        service.post("identify", **hers).status_code,
        stranger.post("identify", image=PICTURE_BASE64).status_code,
        service.post("identify", **hers).status_code,
        service.post("identify", image=PICTURE_BASE64).status_code,
    ]
    assert statuses == [200, 200, 429, 429, 200]
    answer = stranger.post("identify", image=PICTURE_BASE64)
    assert refusal(answer) == (429, "rate_limited")
    assert 3590 < int(answer["Retry-After"]) <= 3600
    RateWindow.objects.update(hour_start=F("hour_start") - timedelta(hours=1, seconds=1))
    assert stranger.post("identify", image=PICTURE_BASE64).status_code == 200
    assert RateWindow.objects.get().hour_count == 3
    fake.show([])
    assert stranger.post("identify", image=PICTURE_BASE64).status_code == 200  # nobody to look up


def test_faces_are_counted_once_if_the_model_changes(
    stranger: Person, fake: FakePipeline, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The picture is looked at again: what the new model finds more is counted, too."""
    settings.FACESVC_FACES_PER_HOUR = 100
    fake.show([vector(1), vector(2), vector(3)])

    changes = iter([ModelChangedError()])

    def changes_now(active: Any) -> None:
        fake.show([vector(1), vector(2), vector(3), vector(4)])
        if change := next(changes, None):
            raise change

    monkeypatch.setattr(serving, "require", changes_now)
    assert len(identify(stranger)["faces"]) == 4
    assert next(changes, None) is None
    assert RateWindow.objects.get().hour_count == 4


def test_the_faces_of_a_batch_are_counted(
    service: Person, fake: FakePipeline, settings: Settings
) -> None:
    """Those that are too many are errors of their pictures."""
    settings.FACESVC_FACES_PER_HOUR = 5
    make_user(STRANGER)
    fake.show([vector(1), vector(2), vector(3)])
    images = [{"image_id": str(number), "image": PICTURE_BASE64} for number in range(4)]
    batch = data_of(service.post("batch-identify", images=images, on_behalf_of=STRANGER))
    assert [item["status"] for item in batch["results"]] == ["success"] * 2 + ["error"] * 2
    assert batch["results"][3]["error"]["code"] == "rate_limited"
    assert RateWindow.objects.get().hour_count == 6


def test_batches_of_a_user_cannot_count_past_each_other(
    client: Client, service: Person, fake: FakePipeline
) -> None:
    """In transactions of their own none would see what the others have looked up."""
    stranger = Person(user_token(STRANGER, SCOPES), client)
    make_user(STRANGER)
    fake.show([vector(1)])
    images = [{"image_id": "a", "image": PICTURE_BASE64}]
    has_begun, may_end = Event(), Event()

    def batch_elsewhere() -> None:
        try:
            with transaction.atomic(), face_budget.postponed(STRANGER):
                has_begun.set()
                may_end.wait(60)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        other = threads.submit(batch_elsewhere)
        try:
            assert has_begun.wait(60)
            own = stranger.post("batch-identify", images=images)
            for_them = service.post("batch-identify", images=images, on_behalf_of=STRANGER)
            of_nobody = service.post("batch-identify", images=images)
        finally:
            may_end.set()
        other.result(60)
    assert refusal(own) == refusal(for_them) == (429, "requests_in_progress")
    assert data_of(of_nobody)["succeeded"] == 1
    assert data_of(stranger.post("batch-identify", images=images))["succeeded"] == 1


def crowd(size: int) -> None:
    for number in range(size):
        make_face(make_user(UUID(int=1000 + number), "public"), vector(20 + number % 100))


def test_a_larger_gallery_needs_a_better_match(
    service: Person, admin: Person, fake: FakePipeline
) -> None:
    make_face(make_user(OWNER, "public"), vector(1))
    fake.show(near(vector(1), 0.938))  # confidence 0.815, FMR 2e-4
    alone = identify(service)
    assert found(alone) == [str(OWNER)]
    assert alone["search_stats"]["threshold"]["cut"] == "min_confidence"
    crowd(99)
    answer = identify(service)
    assert found(answer) == []
    assert answer["search_stats"]["faces_searched"] == 100
    threshold = answer["search_stats"]["threshold"]
    scores = engine.current().scores
    cosine = scores.cosine_of_fmr(0.01 / 100)
    assert threshold["cut"] == "max_false_positive_rate"
    assert threshold["confidence_score"] == pytest.approx(0.85)
    assert threshold["similarity_score"] == pytest.approx(scores.similarity(cosine), abs=1e-4)
    off = identify(admin, search_scope={"max_false_positive_rate": None})
    assert found(off) == [str(OWNER)]
    assert found(identify(service, search_scope={"max_false_positive_rate": 0.1})) == [str(OWNER)]


def test_every_face_is_looked_up(service: Person, fake: FakePipeline) -> None:
    make_face(make_user(OWNER, "public"), vector(1))
    make_face(make_user(FRIEND, "public"), vector(2))
    fake.show([face_of(vector(3)), face_of(vector(2)), face_of(vector(1))])
    answer = identify(service)
    assert [found(face) for face in answer["faces"]] == [[], [str(FRIEND)], [str(OWNER)]]
    assert answer["identification_result"] == "not_found"  # that of the main face


def test_the_largest_face_alone(service: Person, fake: FakePipeline) -> None:
    make_face(make_user(OWNER, "public"), vector(1))
    fake.show([face_of(vector(1)), face_of(vector(2))])
    assert len(identify(service, faces="largest")["faces"]) == 1


def test_small_faces_are_looked_for(service: Person, fake: FakePipeline) -> None:
    fake.small = [face_of(vector(2)), face_of(vector(3))]
    fake.show([face_of(vector(1))])
    answer = data_of(service.post("identify", image=PICTURE_BASE64))
    assert (len(answer["faces"]), answer["faces_found"], answer["smallest_face"]) == (3, 3, 40)


def test_the_largest_face_is_looked_for_no_closer_than_needed(
    service: Person, fake: FakePipeline
) -> None:
    fake.small = [face_of(vector(2)), face_of(vector(3))]
    fake.show([face_of(vector(1))], [])
    answer = data_of(service.post("identify", image=PICTURE_BASE64, faces="largest"))
    assert (len(answer["faces"]), answer["faces_found"], answer["smallest_face"]) == (1, 1, 100)
    answer = data_of(service.post("identify", image=PICTURE_BASE64, faces="largest"))
    assert (len(answer["faces"]), answer["faces_found"], answer["smallest_face"]) == (1, 2, 40)


def test_no_face(service: Person, fake: FakePipeline) -> None:
    fake.show([])
    answer = identify(service)
    assert answer["identification_result"] == "no_face_detected"
    assert (answer["faces"], answer["candidates"]) == ([], [])


def test_an_empty_gallery(service: Person, fake: FakePipeline) -> None:
    fake.show(vector(1))
    answer = identify(service)
    assert (answer["identification_result"], answer["candidates"]) == ("not_found", [])
    assert answer["search_stats"]["faces_searched"] == 0


def test_other_models_are_not_searched(service: Person, fake: FakePipeline) -> None:
    make_face(make_user(OWNER, "public"), vector(1), version="arcface_v1.2")
    fake.show(vector(1))
    assert identify(service)["search_stats"]["faces_searched"] == 0


def test_the_number_of_queries_does_not_grow_with_the_gallery(
    service: Person, fake: FakePipeline, django_assert_num_queries: Any
) -> None:
    crowd(30)
    make_face(make_user(OWNER, "public"), vector(1))
    fake.show(vector(1))
    # Which pack is active; a savepoint and its end, the planner's settings, how many templates
    # are visible, the nearest, how many faces these have; their names.
    with django_assert_num_queries(8):
        assert found(identify(service)) == [str(OWNER)]


# --- whom one may find ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "viewer", "groups"),
    [
        ({}, None, ["public"]),
        ({"search_scope": {"user_groups": ["friends", "hiking"]}}, None, []),
        ({"on_behalf_of": str(FRIEND)}, str(FRIEND), ["friends", "public"]),
        (
            {"on_behalf_of": str(FRIEND), "search_scope": {"user_groups": ["hiking"]}},
            str(FRIEND),
            ["hiking"],
        ),
    ],
    ids=str,
)
def test_the_answer_says_where_was_searched(
    service: Person,
    fake: FakePipeline,
    fields: dict[str, Any],
    viewer: str | None,
    groups: list[str],
) -> None:
    make_user(FRIEND)
    fake.show(vector(1))
    scope = identify(service, **fields)["search_stats"]["scope"]
    assert scope == {
        "everyone": False,
        "viewer": viewer,
        "user_groups": groups,
        "face_group": None,
    }


def test_a_search_of_everyone_says_so(admin: Person, fake: FakePipeline) -> None:
    fake.show(vector(1))
    scope = identify(admin, search_scope={"scope": "all"})["search_stats"]["scope"]
    assert scope == {"everyone": True, "viewer": None, "user_groups": [], "face_group": None}


def test_who_was_just_enrolled_is_not_found_and_one_sees_why(
    service: Person, fake: FakePipeline
) -> None:
    fake.show(vector(1))
    registered = data_of(service.post("register", user_id=OWNER, image=PICTURE_BASE64), 201)
    answer = identify(service)
    assert registered["privacy_level"] == "friends"
    assert answer["candidates"] == []
    assert answer["search_stats"]["scope"]["viewer"] is None
    assert answer["search_stats"]["scope"]["user_groups"] == ["public"]
    data_of(service.put(f"users/{OWNER}", privacy_level="public"))
    assert found(identify(service)) == [str(OWNER)]


def test_whom_one_may_not_see_leaves_no_trace(stranger: Person, fake: FakePipeline) -> None:
    make_face(make_user(FRIEND, "public"), near(vector(1), 0.98))
    fake.show(vector(1))

    def answer() -> dict[str, Any]:
        data = identify(stranger)
        del data["search_stats"]["search_time_ms"]
        return data

    before = answer()
    make_face(make_user(OWNER, "private"), vector(1))
    make_face(make_user(UUID(int=1), "friends"), vector(1))
    make_face(make_user(UUID(int=2), "public"), vector(1), searchable=False)
    make_face(make_user(UUID(int=3), "public", suspended_at=timezone.now()), vector(1))
    assert answer() == before


def test_one_finds_oneself_though_private(owner: Person, fake: FakePipeline) -> None:
    make_face(make_user(OWNER, "private"), vector(1))
    fake.show(vector(1))
    assert found(identify(owner)) == [str(OWNER)]
    assert found(identify(owner, search_scope={"user_groups": []})) == [str(OWNER)]


def test_a_service_finds_the_public_only(service: Person, fake: FakePipeline) -> None:
    make_face(make_user(OWNER, "private"), vector(1))
    make_face(make_user(FRIEND, "friends"), vector(1))
    fake.show(vector(1))
    assert found(identify(service)) == []


def test_public_people_are_left_out_on_request(stranger: Person, fake: FakePipeline) -> None:
    make_face(make_user(OWNER, "public"), vector(1))
    fake.show(vector(1))
    assert found(identify(stranger, search_scope={"user_groups": ["friends"]})) == []


def test_a_service_searches_on_behalf_of_a_user(service: Person, fake: FakePipeline) -> None:
    make_face(make_user(OWNER, "private"), vector(1))
    fake.show(vector(1))
    assert found(identify(service, on_behalf_of=OWNER)) == [str(OWNER)]
    assert found(identify(service, on_behalf_of=FRIEND)) == []
    by_header = service.send(
        "post", "identify", {"image": PICTURE_BASE64}, headers={"X-On-Behalf-Of": str(OWNER)}
    )
    assert found(data_of(by_header)) == [str(OWNER)]


def test_only_faces_of_a_group_are_found(service: Person, fake: FakePipeline) -> None:
    ann, ben = make_user(OWNER, "public"), make_user(FRIEND, "public")
    make_face(ann, near(vector(1), 0.99), face_group="passport")
    make_face(ann, near(vector(1), 0.95, toward=30))
    make_face(ben, near(vector(1), 0.97))
    fake.show(vector(1))
    both = identify(service)
    assert [each["user_id"] for each in both["candidates"]] == [str(OWNER), str(FRIEND)]
    assert both["search_stats"]["scope"]["face_group"] is None
    for group, found in (("passport", [OWNER]), ("primary", [FRIEND, OWNER]), ("none", [])):
        answer = identify(service, search_scope={"face_group": group})
        assert [each["user_id"] for each in answer["candidates"]] == [*map(str, found)]
        assert answer["search_stats"]["scope"]["face_group"] == group
        assert answer["search_stats"]["faces_searched"] == 3
        assert answer["search_stats"]["threshold"] == both["search_stats"]["threshold"]


def test_users_do_not_learn_the_groups_of_faces(stranger: Person, fake: FakePipeline) -> None:
    make_face(make_user(OWNER, "public"), vector(1), face_group="passport")
    fake.show(vector(1))
    fields = {"image": PICTURE_BASE64, "search_scope": {"face_group": "passport"}}
    assert refusal(stranger.post("identify", **fields)) == (403, "service_only")


def test_two_viewers_are_none(service: Person, fake: FakePipeline) -> None:
    """The body and the header name different users."""
    fields = {"image": PICTURE_BASE64, "on_behalf_of": str(OWNER)}
    for viewer, status in ((OWNER, 200), (FRIEND, 400)):
        answer = service.send("post", "identify", fields, headers={"X-On-Behalf-Of": str(viewer)})
        assert answer.status_code == status


@pytest.mark.parametrize("purpose", [{"source": "auto_tagging"}, {"context": "post_upload"}])
def test_tagging_obeys_the_faces_setting(
    stranger: Person, fake: FakePipeline, purpose: dict[str, str]
) -> None:
    make_face(make_user(OWNER, "public"), vector(1), taggable="nobody")
    fake.show(vector(1))
    assert found(identify(stranger)) == [str(OWNER)]
    assert found(identify(stranger, metadata=purpose)) == []


def test_an_administrator_searches_everyone_and_is_logged(
    admin: Person, fake: FakePipeline
) -> None:
    make_face(make_user(OWNER, "private"), vector(1))
    fake.show(vector(1))
    assert found(identify(admin)) == []
    assert not AuditEvent.objects.exists()
    assert found(identify(admin, search_scope={"scope": "all"})) == [str(OWNER)]
    event = AuditEvent.objects.get()
    assert (event.actor, event.action) == ("service:moderation", "identify.everyone")


def test_a_picture_as_the_body_is_searched_with_the_defaults(
    service: Person, fake: FakePipeline
) -> None:
    make_face(make_user(OWNER, "public"), vector(1))
    fake.show(vector(1))
    answer = service.send("post", "identify?faces=largest", PICTURE, content_type="image/png")
    assert found(data_of(answer)) == [str(OWNER)]


def test_a_scope_in_a_form_counts(service: Person, fake: FakePipeline) -> None:
    """As JSON text; were it ignored, more people would be found than were asked for."""
    make_face(make_user(OWNER, "public"), vector(1))
    fake.show(vector(1))
    fields = {"image": SimpleUploadedFile("a.png", PICTURE), "search_scope": '{"user_groups": []}'}
    headers = {"Authorization": f"Bearer {service.token}"}
    answer = service.client.post(f"{PREFIX}identify", fields, headers=headers)
    assert found(data_of(answer)) == []


# --- refusals -------------------------------------------------------------------------------------


def test_an_end_user_may_not_search_for_others(owner: Person, fake: FakePipeline) -> None:
    answer = owner.post("identify", image=PICTURE_BASE64, on_behalf_of=FRIEND)
    assert refusal(answer) == (403, "not_your_user")


def test_everyone_needs_the_scope(service: Person, fake: FakePipeline) -> None:
    answer = service.post("identify", image=PICTURE_BASE64, search_scope={"scope": "all"})
    assert refusal(answer) == (403, "insufficient_scope")
    assert not AuditEvent.objects.exists()


def test_the_scope_to_manage_does_not_identify(service: Person, fake: FakePipeline) -> None:
    manager = Person(service_token("app", ["face:manage"]), service.client)
    answer = manager.post("identify", image=PICTURE_BASE64)
    assert refusal(answer) == (403, "insufficient_scope")


def test_a_viewer_header_that_is_no_user_id(service: Person, fake: FakePipeline) -> None:
    fields = {"image": PICTURE_BASE64}
    answer = service.send("post", "identify", fields, headers={"X-On-Behalf-Of": "%FF"})
    assert refusal(answer) == (400, "invalid_request")


@pytest.mark.parametrize(
    "scope",
    [
        {"max_candidates": 0},
        {"max_candidates": 101},
        {"max_candidates": "many"},
        {"max_candidates": "5"},
        {"max_candidates": True},
        {"min_confidence": 1},
        {"min_confidence": -0.1},
        {"min_confidence": True},
        {"min_confidence": "NaN"},
        {"min_confidence": "Infinity"},
        {"max_false_positive_rate": 0},
        {"max_false_positive_rate": 2},
        {"max_false_positive_rate": "NaN"},
        {"user_groups": "public"},
        {"user_groups": [7, {}]},
        {"user_groups": ["a"] * 51},
        {"scope": "some"},
        [],
        7,
        "all",
    ],
)
def test_a_search_scope_that_makes_no_sense(
    service: Person, fake: FakePipeline, scope: object
) -> None:
    answer = service.post("identify", image=PICTURE_BASE64, search_scope=scope)
    assert refusal(answer) == (400, "invalid_request")


def test_a_misspelt_option_is_not_ignored(service: Person, fake: FakePipeline) -> None:
    answer = service.post("identify", image=PICTURE_BASE64, search_scope={"min_confidnce": 0.9})
    assert refusal(answer) == (400, "unknown_field")
