"""What is counted for the operators' first page, by many processes at once, and what it costs."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import DatabaseError
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from recognition import daily_counts
from recognition.models import CountedKind, DailyCount
from recognition.privacy import retention
from tests.support.builders import (
    OWNER,
    PICTURE_BASE64,
    FakePipeline,
    Person,
    data_of,
    make_face,
    make_user,
    vector,
)
from tests.support.processes import PROJECT, environment

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_counted() -> Iterator[None]:
    daily_counts._counts.clear()
    yield


def stored() -> dict[tuple[str, str], int]:
    daily_counts.write()
    rows = DailyCount.objects.values_list("kind", "label", "count")
    return {(kind, label): count for kind, label, count in rows}


def test_it_works(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        for _ in range(3):
            daily_counts.note(CountedKind.SEARCH, "found")
        daily_counts.note(CountedKind.REFUSAL, "no_face")
    with django_assert_num_queries(1):
        daily_counts.write()
    daily_counts.note(CountedKind.SEARCH, "found")
    assert stored() == {("search", "found"): 4, ("refusal", "no_face"): 1}
    assert set(DailyCount.objects.values_list("day", flat=True)) == {timezone.localdate()}
    with django_assert_num_queries(0):
        daily_counts.write()  # there is nothing to add


@pytest.mark.django_db(transaction=True)
def test_each_verb_counts_once(owner: Person, service: Person, fake: FakePipeline) -> None:
    fake.show(vector(0))
    metadata = {"quality_check": False}
    picture = {"image": PICTURE_BASE64, "user_id": str(OWNER)}
    data_of(service.post("register", **picture, metadata=metadata), 201)
    assert stored() == {("enrolment", ""): 1}
    data_of(owner.post("verify", **picture))
    fake.show(vector(1))
    data_of(owner.post("verify", **picture))
    data_of(owner.post("identify", image=PICTURE_BASE64))
    fake.show([])
    data_of(owner.post("identify", image=PICTURE_BASE64))
    assert service.post("register", **picture).status_code == 422
    assert stored() == {
        ("enrolment", ""): 1,
        ("verification", "success"): 1,
        ("verification", "no_match"): 1,
        ("search", "not_found"): 1,
        ("search", "no_face"): 1,
        ("refusal", "no_face"): 1,
    }


def test_a_search_that_finds_somebody(owner: Person, fake: FakePipeline) -> None:
    make_face(make_user(OWNER), vector(0))
    fake.show(vector(0))
    data_of(owner.post("identify", image=PICTURE_BASE64))
    assert stored() == {("search", "found"): 1}


def test_what_is_rolled_back_does_not_count(
    service: Person, fake: FakePipeline, django_capture_on_commit_callbacks: object
) -> None:
    fake.show(vector(0))
    with django_capture_on_commit_callbacks():  # type: ignore[operator]
        data_of(service.post("register", image=PICTURE_BASE64, user_id=str(OWNER)), 201)
    assert stored() == {}


def test_addresses_that_are_not_there(client: Client) -> None:
    client.get("/nowhere")
    assert stored() == {("refusal", "not_found"): 1}


def test_while_the_database_is_away_the_counts_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    daily_counts.note(CountedKind.SEARCH, "found")
    with monkeypatch.context() as patched, pytest.raises(DatabaseError):
        patched.setattr(daily_counts, "_ADD", "SELECT nothing FROM nowhere -- %s %s %s %s")
        daily_counts.write()
    daily_counts.note(CountedKind.SEARCH, "found")
    assert daily_counts._counts.total() == 2


@pytest.mark.django_db(transaction=True)
def test_threads_lose_nothing() -> None:
    def count() -> None:
        for _ in range(500):
            daily_counts.note(CountedKind.SEARCH, "found")

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stored() == {("search", "found"): 4000}


_PROCESS = """
import django
django.setup()
from recognition import daily_counts
from recognition.models import CountedKind
for number in range(300):
    daily_counts.note(CountedKind.SEARCH, f"label {number % 30}")
    if number % 50 == 0 and MANY:
        daily_counts.write()
"""


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
def test_processes_add_up_and_write_before_they_end() -> None:
    script = _PROCESS.replace("MANY", "True")
    options = {"cwd": PROJECT, "env": environment(DJANGO_SETTINGS_MODULE="facesvc.settings")}
    running = [subprocess.Popen([sys.executable, "-c", script], **options) for _ in range(3)]
    assert [process.wait(timeout=120) for process in running] == [0, 0, 0]
    assert sum(DailyCount.objects.values_list("count", flat=True)) == 900
    assert DailyCount.objects.count() == 30


@pytest.mark.django_db(transaction=True)
def test_a_forked_process_counts_for_itself() -> None:
    daily_counts.note(CountedKind.SEARCH, "found")
    read, write = os.pipe()
    if os.fork() == 0:
        os.write(write, str(daily_counts._counts.total()).encode())
        os._exit(0)
    os.wait()
    assert os.read(read, 10) == b"0"
    assert daily_counts._counts.total() == 1


def test_old_days_are_dropped() -> None:
    today = timezone.localdate()
    for age in (0, 700, 800):
        day = today - timedelta(days=age)
        DailyCount.objects.create(day=day, kind=CountedKind.SEARCH, label="found", count=1)
    retention.drop_daily_counts()
    assert DailyCount.objects.count() == 2
