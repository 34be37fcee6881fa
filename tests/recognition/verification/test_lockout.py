"""5 failures in a row: a delay that grows. 50: locked until a moderator unlocks."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from itertools import chain
from uuid import UUID

import pytest
from django.contrib.auth.models import User as Account
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from recognition.errors import ServiceError
from recognition.models import Attempt, AuditEvent, FailureCount, Session, User
from recognition.prepared import answered
from recognition.verification import lockout
from tests.support import processes
from tests.support.builders import (
    FRIEND,
    OWNER,
    PICTURE_BASE64,
    FakePipeline,
    Person,
    data_of,
    make_face,
    make_user,
    near,
    refusal,
    service_token,
    user_token,
    vector,
)
from tests.support.patience import PATIENCE
from tests.support.processes import Hammering, hammer

pytestmark = pytest.mark.django_db
WRONG, RIGHT = vector(2), vector(1)


@pytest.fixture(autouse=True)
def enrolled(db: None, fake: FakePipeline) -> None:
    make_face(make_user(OWNER), RIGHT)
    fake.show(WRONG)


def verify(person: Person, user_id: UUID = OWNER, device: str = "") -> HttpResponse:
    metadata = {"device_id": device} if device else {}
    return person.post("verify", user_id=user_id, image=PICTURE_BASE64, metadata=metadata)


def fail(person: Person, times: int, device: str = "") -> None:
    """That often, with no regard to the delays."""
    for _ in range(times):
        FailureCount.objects.update(blocked_until=None)
        assert data_of(verify(person, device=device))["is_match"] is False


def wait_of(answer: HttpResponse) -> int:
    assert refusal(answer) == (429, "too_many_attempts")
    return int(answer["Retry-After"])


def test_it_works(owner: Person, fake: FakePipeline) -> None:
    for _ in range(5):
        assert data_of(verify(owner))["verification_result"] == "no_match"
    fake.show(RIGHT)
    assert 28 <= wait_of(verify(owner)) <= 30
    FailureCount.objects.update(blocked_until=timezone.now())
    assert data_of(verify(owner))["is_match"]
    assert not FailureCount.objects.exists()


def test_a_clock_that_was_set_back_locks_nobody_out(owner: Person, fake: FakePipeline) -> None:
    """A delay of before would last until the clock has caught up, and its failures would grow."""
    fail(owner, 5)
    ahead = timezone.now() + timedelta(days=1)
    FailureCount.objects.update(blocked_until=ahead, last_failure_at=ahead)
    assert data_of(verify(owner))["verification_result"] == "no_match"
    assert FailureCount.objects.get().failures == 6
    assert 58 <= wait_of(verify(owner)) <= 60


def test_the_delay_grows(owner: Person) -> None:
    waits = []
    fail(owner, 4)
    for _ in range(9):
        fail(owner, 1)
        waits.append(wait_of(verify(owner)))
    assert waits == pytest.approx([30, 60, 120, 240, 480, 960, 1920, 3600, 3600], abs=2)


def test_a_delayed_attempt_is_not_looked_at_and_not_counted(
    owner: Person, fake: FakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(owner, 5)
    monkeypatch.setattr(fake, "detect", lambda *_, **__: pytest.fail("it was looked at"))
    assert wait_of(verify(owner)) <= 30
    assert FailureCount.objects.get().failures == 5
    assert Attempt.objects.count() == 5


def test_locked_until_a_moderator_unlocks(owner: Person, fake: FakePipeline) -> None:
    fail(owner, 50)
    fake.show(RIGHT)
    FailureCount.objects.update(blocked_until=None)
    assert refusal(verify(owner)) == (423, "locked")
    call_command("unlock", str(OWNER))
    assert data_of(verify(owner))["is_match"]
    event = AuditEvent.objects.get(action="user.unlock")
    assert (event.actor, event.user_id) == ("command:unlock", OWNER)


def test_unlocking_in_the_admin(owner: Person, client: Client, fake: FakePipeline) -> None:
    fail(owner, 50)
    page = "/admin/recognition/failurecount/"
    action = {"action": "unlock", "_selected_action": [FailureCount.objects.get().pk]}
    client.force_login(Account.objects.create_user("looker", is_staff=True))
    assert client.post(page, action).status_code == 403
    assert FailureCount.objects.get().locked_at
    client.force_login(Account.objects.create_superuser("moderator"))
    assert b"own" in client.get(page).content
    assert client.post(page, action).status_code == 302
    assert not FailureCount.objects.exists()
    fake.show(RIGHT)
    assert data_of(verify(owner))["is_match"]
    assert AuditEvent.objects.get(action="user.unlock").actor == "operator:moderator"


def test_the_admin_unlocks_what_is_selected(owner: Person, service: Person, client: Client) -> None:
    """The user, and not the stranger who guesses. A device is shown by a part of its hash."""
    fail(owner, 5)
    fail(service, 5, device="stranger")
    client.force_login(Account.objects.create_superuser("moderator"))
    own = FailureCount.objects.get(source="own")
    page = "/admin/recognition/failurecount/"
    theirs = FailureCount.objects.get(source__startswith="service:app/")
    device = theirs.source.removeprefix("service:app/")
    for shown in (client.get(page), client.get(f"{page}{theirs.pk}/change/")):
        assert f"service:app, device {device[:8]}" in shown.content.decode()
        assert device not in shown.content.decode()
    client.post(page, {"action": "unlock", "_selected_action": [own.pk]})
    assert {row.source for row in FailureCount.objects.all()} == {theirs.source, "others"}


def test_unlocking_by_command(owner: Person, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CommandError, match="There is no user"):
        call_command("unlock", str(FRIEND))
    for said in ("No failed attempt is counted", f"{OWNER} is unlocked"):
        call_command("unlock", str(OWNER))
        assert said in capsys.readouterr().out
        fail(owner, 1)
    assert AuditEvent.objects.filter(action="user.unlock").count() == 1


@pytest.mark.parametrize("page", ["session", "attempt", "failurecount"])
def test_the_admin_changes_nothing_else(owner: Person, client: Client, page: str) -> None:
    session = data_of(owner.post("sessions", user_id=OWNER, purpose="other"), 201)
    owner.post("verify", user_id=OWNER, image=PICTURE_BASE64, metadata=session | {"frames": 0})
    client.force_login(Account.objects.create_superuser("moderator"))
    assert client.get(f"/admin/recognition/{page}/").status_code == 200
    assert client.get(f"/admin/recognition/{page}/add/").status_code == 403
    hashes = Attempt.objects.get()
    shown = client.get(f"/admin/recognition/attempt/{hashes.pk}/change/").content.decode()
    assert "no_match" in shown
    assert hashes.picture_hash not in shown


def test_a_success_starts_anew(owner: Person, fake: FakePipeline) -> None:
    fail(owner, 4)
    fake.show(RIGHT)
    verify(owner)
    fake.show(WRONG)
    fail(owner, 4)
    assert data_of(verify(owner))["verification_result"] == "no_match"


@pytest.mark.parametrize("shown", [[], "nobody enrolled"])
def test_what_is_no_failure(owner: Person, fake: FakePipeline, shown: object) -> None:
    if shown == []:
        fake.show([])
    else:
        FailureCount.objects.all().delete()
        make_user(FRIEND)
        owner = Person(user_token(FRIEND), owner.client)
    user_id = OWNER if shown == [] else FRIEND
    for _ in range(7):
        assert verify(owner, user_id).status_code == 200
    assert not FailureCount.objects.exists()


# --- who is blocked -------------------------------------------------------------------------------


def test_a_stranger_does_not_lock_the_user_out(
    owner: Person, service: Person, fake: FakePipeline
) -> None:
    fail(service, 50)
    fake.show(RIGHT)
    assert refusal(verify(service)) == (423, "locked")
    assert data_of(verify(owner))["is_match"]


def test_nor_the_users_own_device(service: Person, fake: FakePipeline) -> None:
    fake.show(RIGHT)
    verify(service, device="phone")
    fake.show(WRONG)
    for device in range(51):
        fail(service, 1, device=f"stranger {device}")
    fake.show(RIGHT)
    assert wait_of(verify(service, device="stranger 51")) > 3000  # all of them; never locked
    assert data_of(verify(service, device="phone"))["is_match"]


def test_a_service_is_blocked_for_one_user_only(service: Person, fake: FakePipeline) -> None:
    make_face(make_user(FRIEND), RIGHT)
    fail(service, 5)
    assert refusal(verify(service)) == (429, "too_many_attempts")
    fake.show(RIGHT)
    assert data_of(verify(service, FRIEND))["is_match"]


def test_another_source_goes_on_for_a_while(client: Client) -> None:
    """5 of each; 25 of all of them together."""
    for number in range(5):
        person = Person(service_token(f"app{number}"), client)
        for _ in range(5):
            assert verify(person).status_code == 200
        wait_of(verify(person))
    assert wait_of(verify(Person(service_token("another"), client))) <= 30


def test_a_shared_device_is_blocked_alone(
    owner: Person, service: Person, fake: FakePipeline
) -> None:
    """Somebody else fails at the family's tablet: the user still has the phone, and the token."""
    fake.show(RIGHT)
    for device in ("phone", "tablet"):
        assert data_of(verify(service, device=device))["is_match"]
    fake.show(WRONG)
    fail(service, 50, device="tablet")
    fake.show(RIGHT)
    assert refusal(verify(service, device="tablet")) == (423, "locked")
    assert data_of(verify(service, device="phone"))["is_match"]
    assert data_of(verify(owner, device="tablet"))["is_match"]


def test_a_success_of_the_user_gives_strangers_no_new_guesses(
    owner: Person, service: Person, fake: FakePipeline
) -> None:
    for round_ in range(5):
        fake.show(WRONG)
        fail(service, 5, device=f"stranger {round_}")
        fake.show(RIGHT)
        assert data_of(verify(owner))["is_match"]
    assert wait_of(verify(service, device="another")) <= 30


def test_failures_of_strangers_are_forgotten_after_a_day(service: Person) -> None:
    for number in range(6):
        fail(service, 5, device=f"stranger {number}")
    FailureCount.objects.update(blocked_until=None)
    for hours, failures in ((23, 31), (25, 1)):
        FailureCount.objects.update(last_failure_at=timezone.now() - timedelta(hours=hours))
        fail(service, 1, device="another")
        assert FailureCount.objects.get(source="others").failures == failures
    assert verify(service, device="one more").status_code == 200  # and there is no delay
    own = FailureCount.objects.filter(source__startswith="service:app/").latest("last_failure_at")
    assert own.failures == 1


def test_a_strangers_success_takes_back_one_failure(
    service: Person, client: Client, fake: FakePipeline
) -> None:
    """Or all failures that there ever were would add up, and delay everybody in the end."""
    fail(Person(service_token("another"), client), 2)
    for _ in range(7):
        fake.show(WRONG)
        fail(service, 1)
        fake.show(RIGHT)
        assert data_of(verify(service))["is_match"]
    left = {row.source: row.failures for row in FailureCount.objects.all()}
    assert left == {"service:another": 2, "others": 2}
    fake.show(WRONG)
    fail(service, 4)
    fake.show(RIGHT)
    verify(service)
    assert FailureCount.objects.get(source="service:app").failures == 3


def test_successes_of_the_user_give_a_guesser_no_new_guesses(
    service: Person, fake: FakePipeline
) -> None:
    """A service without devices: the user logs in after every fourth guess of a stranger. Each
    success made the count anew, and 48 of 48 guesses were answered."""
    answered = 0
    for _ in range(12):
        fake.show(WRONG)
        answered += sum(verify(service).status_code == 200 for _ in range(4))
        fake.show(RIGHT)
        verify(service)
    assert answered == 6  # the first four, one was taken back, and two more


def test_failures_decay(owner: Person, service: Person) -> None:
    """One for each hour without another; those of strangers together after a day."""
    for person in (owner, service):
        fail(person, 4)
    for hours, left in ((0.9, 4), (2.1, 2), (30, 0)):
        last = timezone.now() - timedelta(hours=hours)
        FailureCount.objects.update(last_failure_at=last, failures=4, blocked_until=None)
        for source in (
            lockout.Source(OWNER, f"user:{OWNER}", "", ["own"]),
            lockout.Source(OWNER, "service:app", "", ["service:app", "others"]),
        ):
            counts = {count.row.source: count.failures for count in lockout._read(source)}
            assert counts[source.counted_as[0]] == left
    fail(owner, 1)
    assert FailureCount.objects.get(source="own").failures == 1


def test_spraying_many_users_by_one_client(service: Person, fake: FakePipeline) -> None:
    """With another device each time, or with none: it is a factor when most users fail."""
    people = [make_user(UUID(int=number)) for number in range(1, 9)]
    for person in people:
        make_face(person, RIGHT)
    factors = []
    for number, person in enumerate(people):
        answer = data_of(verify(service, person.pk, device="" if number % 2 else f"{number}"))
        factors.append("many_users_tried" in answer["risk_assessment"]["factors"])
    assert factors == [False] * 5 + [True] * 3
    fake.show(near(RIGHT, 0.98))
    answer = data_of(verify(service))
    assert answer["is_match"]  # all of the client's users are not locked out by it
    assert answer["risk_assessment"] == {"risk_level": "medium", "factors": ["many_users_tried"]}
    assert data_of(verify(service, device="new"))["verification_result"] == "rejected"


def test_users_who_fail_among_many_who_do_not(service: Person, fake: FakePipeline) -> None:
    """As they do in every app, every day."""
    people = [make_user(UUID(int=number)) for number in range(1, 15)]
    for number, person in enumerate(people):
        make_face(person, RIGHT)
        fake.show(WRONG if number % 2 else RIGHT)
        answer = data_of(verify(service, person.pk))
        assert "many_users_tried" not in answer["risk_assessment"]["factors"]


def test_a_known_device_is_not_concerned_by_what_came_through_the_client(
    service: Person, owner: Person, fake: FakePipeline
) -> None:
    fake.show(RIGHT)
    verify(service, device="phone")
    fake.show(WRONG)
    for number in range(1, 9):
        person = make_user(UUID(int=number))
        make_face(person, RIGHT)
        verify(service, person.pk)
    fake.show(RIGHT)
    for answer in (verify(service, device="phone"), verify(owner)):
        assert "many_users_tried" not in data_of(answer)["risk_assessment"]["factors"]


def test_a_user_who_is_erased_leaves_nothing(owner: Person) -> None:
    fail(owner, 5)
    data_of(owner.post("sessions", user_id=OWNER), 201)
    User.objects.get(pk=OWNER).delete()
    assert [Model.objects.count() for Model in (Attempt, FailureCount, Session)] == [0, 0, 0]


# --- many at once ---------------------------------------------------------------------------------


def _when_there_is_room(person: Person) -> int:
    """The status of a guess. A user has two requests in progress at a time, so others ask again."""
    for _ in range(10_000):
        answer = verify(person)
        if answer.status_code != 429 or answer.json()["error"]["code"] != "requests_in_progress":
            return answer.status_code
    pytest.fail("There never was room for one more request.")


@pytest.mark.django_db(transaction=True)
def test_of_16_at_once_5_are_told(settings: Settings) -> None:
    """All of them pass the gate before the first one is counted: they are counted at the end."""
    settings.FACESVC_INFERENCE_WAITING = 16  # or those who find no room are told to come again
    token = user_token(OWNER)

    def guess(_: int) -> list[int]:
        try:
            person = Person(token, Client())
            return [_when_there_is_room(person) for _ in range(3)]
        finally:
            connection.close()

    with ThreadPoolExecutor(16) as threads:
        statuses = list(chain.from_iterable(threads.map(guess, range(16))))
    assert sorted(statuses) == [200] * 5 + [429] * 43
    assert FailureCount.objects.get().failures == 5
    assert Attempt.objects.count() == 5


# Nothing but a connection of its own and the count, as often as it is counted.
WORKERS = """
import multiprocessing, sys, uuid
import django

django.setup()

from django.db import transaction
from recognition.collections import current
from recognition.errors import ServiceError
from recognition.verification import lockout


def count(_):
    current.enter(current.DEFAULT)
    source, counted = lockout.Source(uuid.UUID(sys.argv[1]), "", "", ["own"]), 0
    for _ in range(10):
        try:
            with transaction.atomic():
                counted += lockout.failed(source)
        except ServiceError:
            pass
    return counted


with multiprocessing.get_context("fork").Pool(16) as processes:
    print(sum(processes.map(count, range(16), chunksize=1)))
"""


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_16_processes_count_right() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WORKERS, str(OWNER)],
        stdout=subprocess.PIPE,
        text=True,
        env=processes.environment(DJANGO_SETTINGS_MODULE="facesvc.settings"),
        cwd=processes.PROJECT,
        timeout=PATIENCE,
    )
    assert int(done.stdout) == FailureCount.objects.get().failures == 5


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_of_16_processes_5_attempts_are_told() -> None:
    """The whole way of an attempt, as web processes go it: token, picture, comparison, count."""
    body = {"user_id": str(OWNER), "image": PICTURE_BASE64}
    guesses = Hammering(16, 4, user_token(OWNER), "post", "verify", body, shown=2)
    for _ in range(3):
        FailureCount.objects.all().delete()
        answers, seconds = hammer(guesses, RATE_LIMIT_PER_MINUTE="0", RATE_LIMIT_PER_HOUR="0")
        if seconds < lockout.DELAY.total_seconds():  # after it a sixth attempt is due
            break
    assert sorted(answer.status for answer in answers) == [200] * 5 + [429] * 59
    count = FailureCount.objects.get()
    assert (count.source, count.failures, count.parts) == (lockout.OWN, 5, 0)
    assert Attempt.objects.count() == 5


@pytest.mark.django_db(transaction=True)
def test_failures_and_successes_of_two_sources_do_not_deadlock() -> None:
    own = lockout.Source(OWNER, f"user:{OWNER}", "", ["own"])
    strange = lockout.Source(OWNER, "service:app", "", ["service:app", "others"])

    def work(number: int) -> None:
        try:
            for _ in range(20):
                source = (own, strange)[number % 2]
                FailureCount.objects.filter(source=source.name).update(blocked_until=None)
                with suppress(ServiceError), transaction.atomic():
                    (lockout.failed, lockout.succeeded)[number // 2 % 2](source)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))


def test_times_are_those_of_the_database(owner: Person) -> None:
    fail(owner, 5)
    left = FailureCount.objects.get().blocked_until - timezone.now()  # type: ignore[operator]
    assert timedelta(seconds=28) < left < timedelta(seconds=31)


def test_users_who_failed_are_counted_by_the_database() -> None:
    """There may be tens of thousands, and every attempt from the device asks for them."""
    source = lockout.Source(OWNER, "app", "device", ["app/device", lockout.OTHERS])
    users = [make_user(UUID(int=number)).pk for number in range(1, 5)]

    def attempt(user: UUID, result: str, device: str = "device") -> None:
        is_failure = result == "no_match"
        Attempt.objects.create(
            user_id=user, device=device, source="app", result=result, is_failure=is_failure
        )

    def counted() -> dict[str, int]:
        return answered(lockout.users_failing(source))

    for user in (users[0], users[0], users[1]):
        attempt(user, "no_match")
    attempt(users[2], "no_face_detected")
    assert counted() == {"failed by device": 2, "failed by client": 2}
    attempt(users[1], "success", device="another")  # so the client's failure was an accident
    assert counted() == {"failed by device": 2, "failed by client": 0}
    attempt(users[3], "no_match", device="another")
    assert counted() == {"failed by device": 2, "failed by client": 2}
    assert lockout.users_failed({"failed by device": 2, "failed by client": 3}) == 3
    Attempt.objects.update(at=timezone.now() - timedelta(minutes=61))
    assert counted() == {"failed by device": 0, "failed by client": 0}
    # What concerns no other user of the client.
    own = lockout.Source(OWNER, "app", "", [lockout.OWN])
    assert lockout.users_failing(own) == {} and lockout.users_failed({}) == 0


def test_the_newest_attempts_of_a_client_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lockout, "_NEWEST_OF_CLIENT", 2)
    source = lockout.Source(OWNER, "app", "", ["app", lockout.OTHERS])
    for number in range(1, 4):
        user = make_user(UUID(int=number))
        Attempt.objects.create(user=user, source="app", result="no_match", is_failure=True)
    assert answered(lockout.users_failing(source)) == {"failed by client": 2}
