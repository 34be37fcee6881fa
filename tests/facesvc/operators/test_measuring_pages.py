"""The pages on which an administrator has a model measured on the people enrolled."""

import re

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse
from django_q.models import OrmQ
from pytest_django import Settings

from recognition.measuring.here import runs
from recognition.models import ActiveModel, AuditEvent, Measurement, MeasurementState
from recognition.packs import engine
from tests.support.enrolled_crowd import PEOPLE, Crowd

pytestmark = pytest.mark.django_db
MODEL = reverse("admin:recognition_activemodel_changelist")
MEASURE = reverse("admin:recognition_activemodel_measure", args=["dlib"])


def as_one_of(client: Client, group: str, settings: Settings) -> Client:
    settings.SESSION_COOKIE_SECURE = False
    account = User.objects.create_user(group, is_staff=True)
    account.groups.add(Group.objects.get(name=group))
    client.force_login(account)
    return client


@pytest.fixture
def administrator(client: Client, settings: Settings) -> Client:
    return as_one_of(client, "administrator", settings)


def text_of(answer: object) -> str:
    content = answer.content.decode()  # type: ignore[attr-defined]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", content))


def page_of(row: Measurement) -> str:
    return reverse("admin:recognition_activemodel_measurement", args=[row.pk])


def measured(crowd: Crowd) -> Measurement:
    crowd.enrol(PEOPLE)
    runs.ask(engine.pack("dlib"), actor="operator:mia")
    runs.work(lambda: True)
    return Measurement.objects.get()


def test_it_works(administrator: Client, crowd: Crowd) -> None:
    crowd.enrol(PEOPLE)
    assert MEASURE in administrator.get(MODEL).content.decode()
    text = text_of(administrator.get(MEASURE))
    assert f"{PEOPLE} with a kept picture" in text and "At least 246 are needed" in text
    row_page = administrator.post(MEASURE)["Location"]
    assert OrmQ.objects.count() == 1
    waiting = administrator.get(row_page)
    assert (
        "It waits for a worker" in text_of(waiting) and b'http-equiv="refresh"' in waiting.content
    )
    runs.work(lambda: True)
    result = administrator.get(row_page)
    assert b"data:image/svg+xml;base64," in result.content
    assert f"on {PEOPLE} people with {PEOPLE + 10} faces" in text_of(result)
    assert "1 of 10,000 (estimated: too rare to be measured)" in text_of(result)
    row = Measurement.objects.get()
    assert not row.in_use
    administrator.post(row_page, {"act": "use"})
    assert ActiveModel.objects.get().measurement == row
    assert "In use." in text_of(administrator.get(row_page))
    assert "Measured on the people enrolled here" in text_of(administrator.get(MODEL))
    administrator.post(row_page, {"act": "return"})
    assert ActiveModel.objects.get().measurement is None
    actors = AuditEvent.objects.filter(action__startswith="model.").values_list("actor", flat=True)
    assert list(actors) == ["operator:administrator"] * 3


def test_too_few_people(administrator: Client, crowd: Crowd) -> None:
    crowd.enrol(3, several=1)
    page = administrator.get(MEASURE)
    assert "kept picture of their face: 3." in text_of(page) and b"submit-row" not in page.content
    assert "kept picture of their face: 3." in text_of(administrator.post(MEASURE, follow=True))
    assert not Measurement.objects.exists() and not OrmQ.objects.exists()


def test_another_one_is_not_finished(administrator: Client, crowd: Crowd) -> None:
    crowd.enrol(PEOPLE)
    administrator.post(MEASURE)
    page = administrator.get(MEASURE)
    assert "is not finished yet" in text_of(page) and b"submit-row" not in page.content
    assert "is not finished yet" in text_of(administrator.post(MEASURE, follow=True))
    assert Measurement.objects.count() == 1


def test_it_is_cancelled(administrator: Client, crowd: Crowd) -> None:
    crowd.enrol(PEOPLE)
    row_page = administrator.post(MEASURE)["Location"]
    text = text_of(administrator.post(row_page, {"act": "cancel"}, follow=True))
    assert "It was cancelled" in text and "Nothing has changed" in text
    assert Measurement.objects.get().state == MeasurementState.CANCELLED
    answer = administrator.post(row_page, {"act": "use"}, follow=True)
    assert "It has not measured anything" in text_of(answer)


@pytest.mark.parametrize("group", ["viewer", "moderator"])
def test_others_may_only_look(client: Client, settings: Settings, crowd: Crowd, group: str) -> None:
    row = measured(crowd)
    as_one_of(client, group, settings)
    assert client.get(MEASURE).status_code == client.post(MEASURE).status_code == 403
    page = client.get(page_of(row))
    assert page.status_code == 200 and b'name="act"' not in page.content
    for act in ("use", "return", "cancel"):
        assert client.post(page_of(row), {"act": act}).status_code == 403
    assert MEASURE not in client.get(MODEL).content.decode()


def test_files_that_are_not_here(administrator: Client, crowd: Crowd) -> None:
    crowd.enrol(PEOPLE)
    elsewhere = reverse("admin:recognition_activemodel_measure", args=["opencv"])
    assert "models pull opencv" in text_of(administrator.get(elsewhere))


def test_no_such_pack_and_no_such_run(administrator: Client) -> None:
    elsewhere = reverse("admin:recognition_activemodel_measure", args=["elsewhere"])
    for address in (elsewhere, page_of(Measurement(pk=5))):
        assert administrator.get(address)["Location"] == MODEL
