"""The pages of no person with many rows: few statements, none that counts a table.

FACESVC_ADMIN_PEOPLE=200000 makes so many people, five times as many events and half as many jobs,
and prints how long each page takes (`pytest -s`).
"""

import os
import time

import pytest
from django.contrib.auth.models import Group
from django.contrib.auth.models import User as Account
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from batch.models import Job, WebhookDelivery
from recognition.models import User
from tests.support.many_people import make

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
PEOPLE = int(os.environ.get("FACESVC_ADMIN_PEOPLE", "2000"))
MOST_STATEMENTS = 17
_STATEMENTS = (
    """INSERT INTO recognition_auditevent (at, actor, action, user_id, face_id, details)
    SELECT now() - n * interval '1 minute',
        CASE WHEN n %% 1000 = 0 THEN 'operator:mia' ELSE 'service:app' END,
        CASE WHEN n %% 1000 = 0 THEN 'user.suspend' ELSE 'face.change' END,
        overlay(md5('person ' || 1 + n %% %(people)s) placing '4' from 13)::uuid, '', '{}'
    FROM generate_series(1, 5 * %(people)s) n""",
    """INSERT INTO batch_job
        (job_id, kind, status, subject, scopes, options, total, callback_url, created_at,
        deadline_at, finished_at, picture_bytes)
    SELECT 'job_' || substr(md5(n::text), 1, 16), 'register',
        CASE WHEN n %% 100 = 0 THEN 'processing' ELSE 'completed' END, 'app', '[]', '{}', 4, '',
        now(), now() + interval '1 hour', CASE WHEN n %% 100 > 0 THEN now() END, 0
    FROM generate_series(1, %(people)s / 2) n""",
    """INSERT INTO batch_item (job_id, image_id, options, state, result, user_ids, attempts)
    SELECT id, 'picture ' || n, '{}', CASE WHEN finished_at IS NULL THEN 'pending' ELSE 'error' END,
        CASE WHEN finished_at IS NULL THEN NULL
        ELSE '{"code": "no_face", "message": "No face was found."}'::jsonb END, '{}', 1
    FROM batch_job CROSS JOIN generate_series(1, 4) n""",
    "INSERT INTO batch_webhookendpoint (client, url) VALUES ('app', 'https://app.example/')",
    """INSERT INTO batch_webhookdelivery
        (message_id, job_id, endpoint_id, body, state, tries, created_at)
    SELECT 'msg_' || md5(j.id::text), j.id, e.id, '',
        CASE WHEN j.id %% 50 = 0 THEN 'dead' ELSE 'delivered' END, 1, now()
    FROM batch_job j CROSS JOIN batch_webhookendpoint e WHERE finished_at IS NOT NULL""",
    """INSERT INTO batch_webhookattempt (delivery_id, at, status, error, duration_ms)
    SELECT id, now(), 500, '', 100 FROM batch_webhookdelivery""",
)


@pytest.fixture
def operator(client: Client, settings: Settings) -> Client:
    settings.SESSION_COOKIE_SECURE = False
    make(PEOPLE)
    with connection.cursor() as cursor:
        for statement in _STATEMENTS:
            cursor.execute(statement, {"people": PEOPLE})
        cursor.execute("ANALYZE")
    account = Account.objects.create_user("vera", is_staff=True)
    account.groups.add(Group.objects.get(name="viewer"))
    client.force_login(account)
    return client


def pages() -> list[str]:
    user = User.objects.order_by("pk")[0]
    day = timezone.localdate()
    log, jobs = "recognition/auditevent/", "batch/job/"
    callbacks = "batch/webhookdelivery/"
    month = f"at__year={day.year}&at__month={day.month}"
    job = Job.objects.filter(finished_at=None)[0]
    delivery = WebhookDelivery.objects.all()[0]
    return [
        *("", "recognition/activemodel/", log, f"{log}?p=2", f"{log}?p=30", f"{log}?by=operator"),
        *(f"{log}?by=command", f"{log}?action=user.suspend", f"{log}?action=user.erase"),
        *(f"{log}?at__year={day.year}", f"{log}?{month}", f"{log}?{month}&at__day={day.day}"),
        *(f"{log}?q={user.pk}", f"{log}?user_id={user.pk}", f"{log}?q=operator:mia"),
        *(f"{log}?q=Person 77", f"{log}?q=nobody at all", f"{log}?q=face_00"),
        *(jobs, f"{jobs}?p=2", f"{jobs}?ended=no", f"{jobs}?ended=yes", f"{jobs}?q=job_00"),
        *(f"{jobs}?status__exact=cancelled", f"{jobs}{job.pk}/change/", callbacks),
        *(f"{callbacks}?state__exact=dead", f"{callbacks}?state__exact=stopped"),
        *(f"{callbacks}?q=msg_00", f"{callbacks}{delivery.pk}/change/", "batch/webhookendpoint/"),
    ]


def test_few_statements_and_no_count(operator: Client) -> None:
    slowest = 0.0
    for page in pages():
        with CaptureQueriesContext(connection) as statements:
            started = time.perf_counter()
            answer = operator.get(f"/admin/{page}")
            seconds = time.perf_counter() - started
        assert answer.status_code == 200, page
        sent = [each["sql"] for each in statements]
        assert len(sent) <= MOST_STATEMENTS, (page, sent)
        # How the pictures of one page of jobs are is grouped by job, and no count of a table.
        counting = [sql for sql in sent if "COUNT(" in sql.upper() and "GROUP BY" not in sql]
        assert not counting, (page, counting)
        slowest = max(slowest, seconds)
        print(f"{page:60} {len(sent):3} statements {seconds * 1000:7.0f} ms")
    print(f"{PEOPLE} people, slowest page {slowest * 1000:.0f} ms")
