"""POST /sessions/{id}/frames: a picture in, the rolling state out."""

import base64
import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from django.core.cache import caches
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from management import moderation
from recognition.models import Attempt, Face, FailureCount, RecentProbe, Session, User
from recognition.verification import frames, providers, service_health, template_cache
from tests.support.builders import (
    FRIEND,
    OWNER,
    PICTURE_BASE64,
    FakePipeline,
    Person,
    data_of,
    face_of,
    make_face,
    make_user,
    near,
    refusal,
    vector,
)
from tests.support.dump import noted
from tests.support.patience import PATIENCE
from tests.support.photos import encode
from tests.support.servers.checker import checking

pytestmark = pytest.mark.django_db
USER, OTHER, NOBODY = vector(1), vector(2), []  # type: ignore[var-annotated]
NOISE = itertools.count()


@pytest.fixture(autouse=True)
def enrolled(db: None, fake: FakePipeline, settings: Settings) -> Face:
    settings.FACESVC_LIVE_FRAMES_PER_SECOND = 1000
    caches["templates"].clear()
    fake.show(USER)
    fake.varies = True
    return make_face(make_user(OWNER), USER)


class Call:
    """A live session, and frames that are all different."""

    def __init__(self, person: Person, **fields: Any) -> None:
        self.person = person
        fields = {"user_id": OWNER, "purpose": "video_call", **fields}
        self.id = data_of(person.post("sessions", **fields), 201)["session_id"]
        self.sent = 0

    def send(self, query: str = "", picture: bytes | None = None) -> HttpResponse:
        if picture is None:
            self.sent += 1
            picture = encode(np.full((48, 64, 3), self.sent, np.uint8))
        path = f"sessions/{self.id}/frames{query}"
        return self.person.send("post", path, picture, content_type="image/png")

    def state(self, query: str = "") -> str:
        state: str = data_of(self.send(query))["state"]
        return state

    def row(self) -> Session:
        return Session.objects.get(pk=self.id)


@pytest.fixture
def call(owner: Person) -> Call:
    return Call(owner)


def test_it_works(call: Call, fake: FakePipeline) -> None:
    trace = []
    for shown, count in ((USER, 4), (NOBODY, 3), (OTHER, 3), (USER, 3)):
        fake.show(shown)
        trace += [call.state() for _ in range(count)]
    assert trace == [
        *("verifying", "verifying", "verified", "verified"),
        *("verified", "verified", "lost"),
        *("lost", "lost", "mismatch"),
        *("mismatch", "mismatch", "verified"),
    ]
    seen = data_of(call.person.get(f"sessions/{call.id}"))
    assert (seen["state"], seen["frames"]) == ("verified", 13)
    assert [each["verification_result"] for each in seen["attempts"]] == [
        *("success", "no_match", "success")
    ]


def test_what_a_frame_says(call: Call, fake: FakePipeline) -> None:
    told = []
    verified(call)
    for shown in (USER, OTHER, NOBODY):
        fake.show(shown)
        told.append(data_of(call.send())["frame"])
    assert told == [
        {"status": "counted", "verification_result": "success"},
        {"status": "counted", "verification_result": "no_match"},
        {"status": "counted", "verification_result": "no_face_detected"},
    ]


def test_a_frame_as_json_and_as_a_form(call: Call) -> None:
    text = base64.b64encode(encode(np.full((48, 64, 3), 9, np.uint8))).decode()
    path = f"sessions/{call.id}/frames"
    answer = call.person.post(path, image=text, sequence=4, captured_at=timezone.now().isoformat())
    assert data_of(answer)["frame"]["status"] == "counted"
    assert call.row().last_sequence == 4


def test_one_odd_frame_changes_nothing(call: Call, fake: FakePipeline) -> None:
    for _ in range(3):
        call.state()
    for shown in (OTHER, USER, NOBODY, USER, USER):
        fake.show(shown)
        assert call.state() == "verified"


def test_a_pause_loses_the_user(call: Call) -> None:
    for _ in range(3):
        call.state()
    Session.objects.update(last_frame_at=timezone.now() - timedelta(seconds=11))
    assert data_of(call.person.get(f"sessions/{call.id}"))["state"] == "lost"
    assert [call.state() for _ in range(3)] == ["lost", "lost", "verified"]


# --- what changes in the middle -------------------------------------------------------------------


def verified(call: Call) -> None:
    assert [call.state() for _ in range(3)][-1] == "verified"


def lost_at_once(call: Call) -> None:
    answer = data_of(call.send())
    assert answer["state"] == "lost"
    assert answer["frame"]["verification_result"] == "no_registered_faces"


def test_the_face_is_moved_to_another_user(call: Call, enrolled: Face) -> None:
    verified(call)
    make_user(FRIEND)
    moderation.move_face(actor="test", face_id=enrolled.face_id, user_id=FRIEND)
    lost_at_once(call)


def test_the_face_is_deleted(call: Call, service: Person, enrolled: Face) -> None:
    verified(call)
    service.delete(f"faces/{enrolled.face_id}")
    lost_at_once(call)


def test_templates_that_are_gone_leave_the_memory(call: Call, enrolled: Face) -> None:
    memory = caches["templates"]._cache  # type: ignore[attr-defined]
    verified(call)
    make_face(User.objects.get(), OTHER)
    call.state()
    assert len(memory) == 1
    Face.objects.update(suspended_at=timezone.now())
    lost_at_once(call)
    assert not memory


def test_templates_that_nobody_asks_for_leave_the_memory() -> None:
    cache = caches["templates"]
    cache.set("gone", 1, timeout=0.001)
    time.sleep(0.01)
    cache.set("other", 2)
    assert [key.split(":")[-1] for key in cache._cache] == ["other"]  # type: ignore[attr-defined]


def test_the_user_is_suspended_and_comes_back(service: Person) -> None:
    """At the moment when the session is opened: the suspension ends all that it finds."""
    call = Call(service)
    verified(call)
    User.objects.update(suspended_at=timezone.now())
    lost_at_once(call)
    User.objects.update(suspended_at=None)
    assert [call.state() for _ in range(3)] == ["lost", "lost", "verified"]


def test_to_a_suspended_user_the_session_is_not_there(call: Call) -> None:
    verified(call)
    User.objects.update(suspended_at=timezone.now())
    assert refusal(call.send()) == (404, "session_not_found")


def test_the_face_is_suspended(call: Call) -> None:
    verified(call)
    Face.objects.update(suspended_at=timezone.now())
    lost_at_once(call)


def test_the_user_is_erased(call: Call) -> None:
    verified(call)
    User.objects.get().delete()
    assert refusal(call.send()) == (404, "session_not_found")


def test_another_face_is_enrolled(call: Call, fake: FakePipeline) -> None:
    verified(call)
    make_face(User.objects.get(), OTHER)
    fake.show(OTHER)
    assert data_of(call.send())["frame"]["verification_result"] == "success"


def test_the_session_ends(call: Call) -> None:
    verified(call)
    call.person.delete(f"sessions/{call.id}")
    answer = call.send()
    assert refusal(answer) == (409, "session_ended")
    assert answer.json()["error"]["details"] == {"state": "ended"}


def test_it_expires(call: Call) -> None:
    Session.objects.update(expires_at=timezone.now())
    assert refusal(call.send()) == (409, "session_ended")


def test_no_template_is_read_after_the_first_frame(call: Call) -> None:
    statements = []
    for _ in range(4):
        with noted() as made:
            call.send()
        statements.append(made)
    reads = [
        [sql for sql in of_frame if '"recognition_template"."embedding"' in sql]
        for of_frame in statements
    ]
    assert [len(each) for each in reads] == [1, 0, 0, 0]
    assert not [sql for sql in statements[3] if "recognition_template" in sql]
    assert len(statements[3]) <= 10  # also the limits, the savepoint and the locks


# --- order and rate -------------------------------------------------------------------------------


def test_older_frames_are_dropped(call: Call, fake: FakePipeline) -> None:
    verified(call)
    call.state("?sequence=10")
    fake.show(OTHER)
    for sequence in (10, 9, 0):
        answer = data_of(call.send(f"?sequence={sequence}"))
        assert answer["frame"] == {"status": "dropped", "verification_result": None}
        assert answer["state"] == "verified"
    assert call.row().frames == 4
    assert data_of(call.send("?sequence=11"))["frame"]["status"] == "counted"


def test_sequences_start_at_nought(call: Call) -> None:
    statuses = [data_of(call.send(f"?sequence={n}"))["frame"]["status"] for n in (0, 0, 1)]
    assert statuses == ["counted", "dropped", "counted"]


def test_the_time_also_orders_them(call: Call) -> None:
    now = timezone.now()
    times = [now, now - timedelta(seconds=1), now + timedelta(seconds=1)]
    statuses = [
        data_of(call.send(f"?captured_at={time:%Y-%m-%dT%H:%M:%S.%fZ}"))["frame"]["status"]
        for time in times
    ]
    assert statuses == ["counted", "dropped", "counted"]


def test_a_frame_of_the_future(call: Call) -> None:
    """It would make all frames after it look old."""
    answer = call.send("?captured_at=2099-01-01T00:00:00Z")
    assert refusal(answer) == (400, "invalid_request")
    assert call.row().last_captured_at is None


def test_too_many_frames(call: Call, settings: Settings) -> None:
    settings.FACESVC_LIVE_FRAMES_PER_SECOND = 0.1
    verified(call)
    answers = [call.send() for _ in range(10)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) == 8  # a few may come at once
    assert refusal(refused[0]) == (429, "too_many_frames")
    assert refused[0]["Retry-After"] == "1"
    assert data_of(call.person.get(f"sessions/{call.id}"))["state"] == "verified"
    Session.objects.update(next_frame_at=timezone.now() - timedelta(seconds=1))
    assert call.state() == "verified"


def test_frames_that_are_dropped_take_a_place(call: Call, settings: Settings) -> None:
    call.state("?sequence=9")
    settings.FACESVC_LIVE_FRAMES_PER_SECOND = 0.1
    statuses = [call.send("?sequence=1").status_code for _ in range(7)]
    assert statuses[-1] == 429


def test_frames_that_are_too_fast_count_as_requests(call: Call, settings: Settings) -> None:
    settings.FACESVC_LIVE_FRAMES_PER_SECOND = 0.1
    settings.RATE_LIMIT_PER_MINUTE = 2
    codes = [
        refusal(answer)[1]
        for answer in (call.send() for _ in range(9))
        if answer.status_code != 200
    ]
    assert codes == ["too_many_frames"] * 2 + ["rate_limited"] * 2


def test_only_the_newest_calls_stay_open(owner: Person, service: Person) -> None:
    calls = [Call(service), *(Call(owner) for _ in range(4))]
    states = [call.row().shown_state for call in calls]
    assert states == ["verifying", "ended", "verifying", "verifying", "verifying"]
    assert refusal(calls[1].send()) == (409, "session_ended")


def test_a_frame_that_is_too_large(call: Call, settings: Settings) -> None:
    """It costs seconds, and nobody's limit counts it."""
    settings.FACESVC_LIVE_FRAME_MEGAPIXELS = 48 * 64 / 1e6
    assert call.send().status_code == 200
    larger = encode(np.zeros((48, 65, 3), np.uint8))
    assert refusal(call.send(picture=larger)) == (413, "too_many_pixels")
    assert call.row().frames == 1


def test_a_call_is_not_ended_by_the_limit_of_the_token(call: Call, settings: Settings) -> None:
    settings.RATE_LIMIT_PER_MINUTE = 5
    assert [call.send().status_code for _ in range(20)] == [200] * 20


def test_what_is_no_frame_counts_as_a_request(owner: Person, settings: Settings) -> None:
    call = Call(owner)
    settings.RATE_LIMIT_PER_MINUTE = 3
    statuses = [call.send(picture=b"no picture").status_code for _ in range(4)]
    call.id = "x"
    assert [*statuses, call.send().status_code] == [415, 415, 415, 429, 429]


@pytest.mark.parametrize(
    "query",
    [
        *("sequence=-1", "sequence=x", "sequence=1.5", f"sequence={2**63}"),
        *("captured_at=yesterday", "captured_at=0001-01-01T00:00:00%2B23:59"),
        "captured_at=9999-12-31T23:59:59-23:59",
    ],
)
def test_bad_fields(call: Call, query: str) -> None:
    assert refusal(call.send(f"?{query}")) == (400, "invalid_request")
    assert call.row().frames == 0


@pytest.mark.parametrize("fields", [{"sequence": "1"}, {"sequence": True}, {"captured_at": 7}])
def test_bad_fields_as_json(call: Call, fields: dict[str, Any]) -> None:
    text = base64.b64encode(encode(np.zeros((48, 64, 3), np.uint8))).decode()
    answer = call.person.post(f"sessions/{call.id}/frames", image=text, **fields)
    assert refusal(answer) == (400, "invalid_request")


def test_a_login_takes_no_frames(owner: Person) -> None:
    assert refusal(Call(owner, purpose="login").send()) == (409, "session_not_live")


# --- the attacker ---------------------------------------------------------------------------------


def test_a_stopped_picture_is_a_factor(call: Call) -> None:
    picture = encode(np.full((48, 64, 3), 7, np.uint8))
    factors = [data_of(call.send(picture=picture))["risk_assessment"]["factors"] for _ in range(2)]
    assert ["replayed_picture" in each for each in factors] == [False, True]


def test_a_still_does_not_verify_a_call(call: Call, fake: FakePipeline) -> None:
    """However often it comes, compressed anew each time: its frames are one vote."""
    fake.varies = False
    for number in range(8):
        fake.show(near(near(vector(1), 0.985, toward=20), 0.999, toward=30 + number))
        assert call.state() == "verifying"
    assert not Attempt.objects.exists()
    assert str(RecentProbe.objects.get().session_id) == call.id
    fake.varies = True
    assert [call.state() for _ in range(2)] == ["verifying", "verified"]
    of_attempt, of_call = RecentProbe.objects.order_by("session")[::-1]
    assert (of_attempt.session, str(of_call.session_id)) == (None, call.id)


def show(fake: FakePipeline, pose: str) -> None:
    """A letter is one picture of the user, with a little noise each time; a dot shows nobody."""
    fake.varies = False
    still = near(USER, 0.985, toward=40 + ord(pose) % 32)
    fake.show(NOBODY if pose == "." else near(still, 0.9999, toward=20 + next(NOISE) % 15))


@pytest.mark.parametrize("window", [3, 5])
@pytest.mark.parametrize(
    ("poses", "states"),
    [
        ("ABC", "ssV"),
        ("AABBBC", "sssssV"),  # sitting still breaks nothing
        ("AABB", "ssss"),
        ("ABBB", "ssss"),
        ("ABABABAB", "ssssssss"),
        ("AB.AAB", "ssssss"),
        ("AB.....ABC", "sssssssssV"),  # what has left the window counts once more
    ],
)
def test_only_pictures_that_all_differ_verify_a_call(
    call: Call, fake: FakePipeline, settings: Settings, window: int, poses: str, states: str
) -> None:
    settings.FACESVC_LIVE_WINDOW = window
    letters = {"verifying": "s", "verified": "V"}
    seen = ""
    for pose in poses:
        show(fake, pose)
        seen += letters[call.state()]
    assert seen == states


def moved_ago(seconds: float) -> None:
    Session.objects.update(moved_at=timezone.now() - timedelta(seconds=seconds))


def test_a_still_does_not_follow_a_verified_call(call: Call, fake: FakePipeline) -> None:
    verified(call)
    show(fake, "A")
    moved_ago(40)
    assert call.state() == "verified"  # another face than that of the last movement
    for seconds in (40, 59):
        moved_ago(seconds)
        assert call.state() == "verified"
        assert call.row().moved_at < timezone.now() - timedelta(seconds=30)
    moved_ago(61)
    assert [call.state() for _ in range(5)] == ["verifying"] * 5
    fake.varies = True
    assert [call.state() for _ in range(2)] == ["verifying", "verified"]
    assert call.row().moved_at > timezone.now() - timedelta(seconds=30)


@pytest.mark.parametrize("shown", [NOBODY, OTHER], ids=["nobody", "somebody else"])
def test_other_frames_between_those_of_a_still(call: Call, fake: FakePipeline, shown: Any) -> None:
    verified(call)
    moved_ago(61)
    fake.show(shown)
    assert call.state() == "verifying"
    assert [attempt.result for attempt in Attempt.objects.all()] == ["success"]


def test_who_moves_stays_verified(call: Call) -> None:
    verified(call)
    moved_ago(29)
    with noted() as statements:
        assert call.state() == "verified"
    assert not [sql for sql in statements if "recentprobe" in sql]
    for seconds in (31, 59, 90):  # the last one after a long time without a match
        moved_ago(seconds)
        assert call.state() == "verified"
        assert call.row().moved_at > timezone.now() - timedelta(seconds=29)
    assert Attempt.objects.count() == 1


def test_the_model_changes_in_the_middle(call: Call) -> None:
    """What another model made of the frames before says nothing of those that come."""
    assert [call.state() for _ in range(2)] == ["verifying"] * 2
    RecentProbe.objects.update(embedding_version="another")
    assert [call.state() for _ in range(3)] == ["verifying", "verifying", "verified"]
    RecentProbe.objects.update(embedding_version="another")
    moved_ago(59)
    assert call.state() == "verified"
    assert call.row().moved_at > timezone.now() - timedelta(seconds=30)
    kept = RecentProbe.objects.get(session=call.id)
    assert kept.embedding_version != "another"


def test_who_comes_back_has_to_move_once_more(call: Call, fake: FakePipeline) -> None:
    verified(call)
    Session.objects.update(last_frame_at=timezone.now() - timedelta(seconds=11))
    fake.varies = False
    fake.show(near(USER, 0.985, toward=50))
    assert [call.state() for _ in range(5)] == ["lost"] * 5
    fake.varies = True
    assert [call.state() for _ in range(2)] == ["lost", "verified"]
    fake.varies = False
    fake.show(OTHER)
    assert [call.state() for _ in range(3)][-1] == "mismatch"
    fake.show(near(USER, 0.985, toward=50))
    assert [call.state() for _ in range(5)] == ["mismatch"] * 5


def test_another_face_is_no_motion(call: Call, fake: FakePipeline) -> None:
    """Only frames that match are compared: a still beside somebody who moves is one."""
    fake.varies = False
    states = []
    for shown in (OTHER, near(OTHER, 0.9), *[near(USER, 0.985, toward=50)] * 5):
        fake.show(shown)
        states.append(call.state())
    assert states == ["verifying"] * 7


def test_a_fake_is_a_mismatch(owner: Person, fake: FakePipeline, settings: Settings) -> None:
    settings.FACESVC_LIVE_CHECK_SECONDS = 0
    call = Call(owner)
    fake.show(replace(face_of(USER), liveness=0.9))
    verified(call)
    fake.show(replace(face_of(USER), liveness=0.1))
    assert [call.state() for _ in range(3)] == ["verified", "verified", "mismatch"]
    assert Attempt.objects.latest("pk").result == "rejected"


def test_checks_are_made_now_and_then(owner: Person, settings: Settings) -> None:
    providers.http_provider.cache_clear()
    with checking(0.9) as checker:
        settings.ANTISPOOFING_SERVICE_URL = checker.url
        call = Call(owner)
        verified(call)
        assert len(checker.asked) == 3  # all, until it is verified
        call.state()
        assert len(checker.asked) == 3
        Session.objects.update(checked_at=timezone.now() - timedelta(seconds=3))
        call.state()
        assert len(checker.asked) == 4


def test_strict_without_an_answer_is_not_verified(owner: Person, settings: Settings) -> None:
    providers.http_provider.cache_clear()
    settings.FACESVC_STRICT_CHECKS = ["antispoofing"]
    settings.FACESVC_LIVE_CHECK_SECONDS = 0
    with checking(0.9) as checker:
        settings.ANTISPOOFING_SERVICE_URL = checker.url
        call = Call(owner, verification_level="strict")
        verified(call)
        checker.moods = [404]
        states = [call.state() for _ in range(service_health.FAILURES)]
    assert states[:3] == ["verified", "verified", "lost"]
    assert not FailureCount.objects.exists()


def test_guessing_in_a_call_is_delayed(call: Call, fake: FakePipeline) -> None:
    """Five frames of somebody else are a failed attempt."""
    fake.show(OTHER)
    statuses = [call.send().status_code for _ in range(5 * 5 + 1)]
    assert statuses == [200] * 25 + [429]
    assert FailureCount.objects.get().failures == 5
    assert refusal(call.send()) == (429, "too_many_attempts")


def test_guesses_between_other_frames_and_in_many_calls(owner: Person, fake: FakePipeline) -> None:
    """The state never becomes a mismatch, and the frames count all the same."""
    statuses = []
    for _ in range(13):
        call = Call(owner)
        for shown in (OTHER, NOBODY, OTHER):
            fake.show(shown)
            answer = call.send()
            statuses.append(answer.status_code)
            if answer.status_code == 200:
                assert data_of(answer)["state"] == "verifying"
    assert statuses == [200] * 37 + [429] * 2
    assert FailureCount.objects.get().failures == 5


def test_before_it_is_verified_a_frame_tells_nothing_of_the_face(
    owner: Person, fake: FakePipeline
) -> None:
    answers = []
    for shown in (USER, near(USER, 0.95), OTHER):
        fake.show(shown)
        answers.append(data_of(Call(owner).send()))
    told = [(each["state"], each["frame"], each["risk_assessment"]) for each in answers]
    assert told[0][1] == {"status": "counted", "verification_result": None}
    assert told[0] == told[1] == told[2]


def test_another_live_face_does_not_vouch_for_a_picture(
    owner: Person, fake: FakePipeline, settings: Settings
) -> None:
    """Nor is the picture verified by a check of an earlier frame."""
    settings.FACESVC_LIVE_CHECK_SECONDS = 3600
    alive, photo = replace(face_of(OTHER), liveness=0.9), replace(face_of(USER), liveness=0.1)
    call = Call(owner)
    fake.show(alive)
    call.send()
    assert call.row().checked_at is None
    fake.show(photo)
    results = [data_of(call.send())["frame"]["verification_result"] for _ in range(3)]
    assert results == ["rejected"] * 3
    fake.show(replace(face_of(USER), liveness=0.9))
    call = Call(owner)
    assert [call.state() for _ in range(2)] == ["verifying"] * 2
    fake.show(photo)
    assert data_of(call.send())["frame"]["verification_result"] == "rejected"


def test_many_users_tried_counts_in_a_call(service: Person, owner: Person) -> None:
    """The rules of a login hold until the user is verified."""
    for number in range(1, 6):
        user = make_user(UUID(int=number))
        make_face(user, OTHER)
        fields = {"image": PICTURE_BASE64, "metadata": {"device_id": "phone"}}
        data_of(service.post("verify", user_id=user.pk, **fields))
    call = Call(service, metadata={"device_id": "phone"})
    answers = [data_of(call.send()) for _ in range(3)]
    assert [answer["state"] for answer in answers] == ["verifying"] * 3
    assert "many_users_tried" in answers[2]["risk_assessment"]["factors"]


def test_a_face_that_goes_while_the_checks_run(
    call: Call, enrolled: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified(call)
    wait = providers.wait

    def suspended(pending: Any) -> Any:
        Face.objects.update(suspended_at=timezone.now())
        return wait(pending)

    monkeypatch.setattr(providers, "wait", suspended)
    lost_at_once(call)


def test_templates_that_go_while_they_are_loaded(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are listed, and deleted before they are read."""
    monkeypatch.setattr(template_cache, "_load", lambda ids: ([], b""))
    assert data_of(call.send())["frame"]["verification_result"] == "no_registered_faces"


def test_a_delay_does_not_keep_a_call_verified(call: Call, fake: FakePipeline) -> None:
    verified(call)
    FailureCount.objects.create(
        user_id=OWNER,
        source="own",
        failures=6,
        blocked_until=timezone.now() + timedelta(minutes=1),
        last_failure_at=timezone.now(),
    )
    assert call.state() == "verified"  # nor does it end one
    fake.show(OTHER)
    assert [call.state() for _ in range(3)][-1] == "mismatch"
    fake.show(USER)
    assert refusal(call.send()) == (429, "too_many_attempts")


# --- two processes at once ------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_frames_at_once_all_count(owner: Person) -> None:
    call = Call(owner)

    def send(number: int) -> None:
        try:
            person = Person(owner.token, Client())
            picture = encode(np.full((48, 64, 3), number, np.uint8))
            frame = ("post", f"sessions/{call.id}/frames", picture)
            while (answer := person.send(*frame, content_type="image/png")).status_code == 429:
                assert refusal(answer)[1] in ("requests_in_progress", "frames_in_progress")
                time.sleep(0.01)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(send, range(40)))
    row = call.row()
    assert (row.frames, row.state, len(row.window)) == (40, "verified", 5)
    assert Attempt.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_slow_call_does_not_hold_every_thread(
    service: Person, fake: FakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a check is slow, all frames that come are checked, and would wait."""
    call = Call(service)
    looked, go_on, detect = threading.Semaphore(0), threading.Event(), fake.detect

    def slowly(image: Any, **options: Any) -> Any:
        looked.release()
        assert go_on.wait(PATIENCE)
        return detect(image, **options)

    monkeypatch.setattr(fake, "detect", slowly)

    def send(number: int) -> int:
        try:
            picture = encode(np.full((48, 64, 3), number, np.uint8))
            path = f"sessions/{call.id}/frames"
            person = Person(service.token, Client())
            return person.send("post", path, picture, content_type="image/png").status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        first = [threads.submit(send, number) for number in (1, 2)]
        assert looked.acquire(timeout=PATIENCE) and looked.acquire(timeout=PATIENCE)
        for _ in range(3):
            assert refusal(call.send()) == (429, "frames_in_progress")
        go_on.set()
        assert [each.result() for each in first] == [200, 200]
    assert call.send().status_code == 200
    assert not frames.looked_at


@pytest.mark.django_db(transaction=True)
def test_a_slow_frame_does_not_overtake(
    service: Person, fake: FakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = Call(service)
    verified(call)
    looked, go_on, detect = threading.Event(), threading.Event(), fake.detect

    def slowly(image: Any, **options: Any) -> Any:
        if int(image[0, 0, 0]) == 200:
            looked.set()
            assert go_on.wait(PATIENCE)
        return detect(image, **options)

    monkeypatch.setattr(fake, "detect", slowly)

    def slow() -> dict[str, Any]:
        try:
            picture = encode(np.full((48, 64, 3), 200, np.uint8))
            person = Person(service.token, Client())
            path = f"sessions/{call.id}/frames?sequence=1"
            return data_of(person.send("post", path, picture, content_type="image/png"))
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(slow)
        assert looked.wait(PATIENCE)
        assert data_of(call.send("?sequence=2"))["frame"]["status"] == "counted"
        go_on.set()
        assert first.result()["frame"]["status"] == "dropped"
