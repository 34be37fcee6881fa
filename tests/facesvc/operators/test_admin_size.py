"""The moderators' pages with many people: few statements, none that counts a table.

FACESVC_ADMIN_PEOPLE=200000 makes so many and prints how long each page takes (`pytest -s`).
"""

import os
import time

import pytest
from django.contrib.auth.models import User as Account
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from recognition.admin import finding
from recognition.models import Attempt, Face, Session, User
from tests.support.many_people import make

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
PEOPLE = int(os.environ.get("FACESVC_ADMIN_PEOPLE", "3000"))
MOST_STATEMENTS = 15
ADMIN = "/admin/recognition/"


@pytest.fixture
def operator(client: Client, settings: Settings) -> Client:
    settings.SESSION_COOKIE_SECURE = False
    make(PEOPLE)
    client.force_login(Account.objects.create_superuser("administrator"))
    return client


def pages() -> list[str]:
    user = User.objects.get(display_name__startswith="Person 1 ")
    face, attempt = Face.objects.order_by("pk")[0], Attempt.objects.order_by("pk")[0]
    session = Session.objects.order_by("pk")[0]
    lists = [
        *("user/", "user/?p=2", "user/?p=50", "user/?q=Person 77", "user/?q=nobody at all"),
        *("user/?q=on", f"user/?q={str(user.pk)[:8]}", f"user/?q={user.pk}"),
        *(f"user/?q={face.face_id}", "user/?suspended=yes", "user/?suspended=no"),
        *(
            "user/?locked=yes",
            "user/?privacy_level=private",
            "user/?privacy_level=private&suspended=yes",
        ),
        *("face/", "face/?view=list", "face/?p=2", "face/?q=Person 77", "face/?suspended=yes"),
        *("face/?searchable=no", f"face/?q={user.pk}", "face/?q=face_00", "session/"),
        *("session/?p=2", "session/?state=verifying", f"session/?q={user.pk}", "attempt/"),
        *("attempt/?result=no_match", "attempt/?result=success", "attempt/?q=Person 77"),
        *("attempt/?q=own", "failurecount/", "failurecount/?locked=yes"),
        *("failurecount/?q=Person 77", "possibleduplicate/", "possibleduplicate/?state=all"),
        *("possibleduplicate/?q=Person 77",),
    ]
    single = [
        *(f"user/{user.pk}/{page}/" for page in ("change", "history", "merge", "erase")),
        f"user/{user.pk}/merge/?q=Person",
        *(f"face/{face.pk}/{page}/" for page in ("change", "move", "suspend")),
        *(f"attempt/{attempt.pk}/change/", f"session/{session.pk}/change/"),
    ]
    return [*lists, *single]


def test_few_statements_and_no_count(operator: Client) -> None:
    slowest = 0.0
    for page in pages():
        with CaptureQueriesContext(connection) as statements:
            started = time.perf_counter()
            answer = operator.get(f"{ADMIN}{page}")
            seconds = time.perf_counter() - started
        assert answer.status_code == 200, page
        sent = [each["sql"] for each in statements]
        assert len(sent) <= MOST_STATEMENTS, (page, sent)
        counting = [sql for sql in sent if sql.startswith("SELECT COUNT(") and "log" not in sql]
        assert not counting, (page, counting)
        slowest = max(slowest, seconds)
        print(f"{page:60} {len(sent):3} statements {seconds * 1000:7.0f} ms")
    print(f"{PEOPLE} people, slowest page {slowest * 1000:.0f} ms")


def test_a_part_of_a_name_is_found_by_its_index(operator: Client) -> None:
    found = finding.people(User.objects.all(), "erson 77").order_by()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    plan = found.explain()
    assert "user_by_part_of_name" in plan
    assert "user_by_part_of_given_id" in plan
