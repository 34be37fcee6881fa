"""The audit log in words, its filters and dates, and the page of the active model."""

import re
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Group, User
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from facesvc.operators import dates, model_page
from recognition import audit
from recognition import models as recognition_models
from recognition.admin.audit_sentences import SENTENCES, Names, label, sentence
from recognition.models import AuditEvent, FaceCrop
from recognition.packs import engine
from tests.support.builders import FRIEND, OWNER, STRANGER, make_face, make_user, vector

pytestmark = pytest.mark.django_db
LOG = "/admin/recognition/auditevent/"
MODEL = "/admin/recognition/activemodel/"


@pytest.fixture
def viewer(client: Client, settings: Settings) -> Client:
    settings.SESSION_COOKIE_SECURE = False
    account = User.objects.create_user("vera", is_staff=True)
    account.groups.add(Group.objects.get(name="viewer"))
    client.force_login(account)
    return client


def text_of(html: Any) -> str:
    shown = html.content.decode() if isinstance(html, HttpResponse) else str(html)
    return " ".join(re.sub(r"<[^>]+>", "", shown).split())


def said(event: AuditEvent) -> str:
    return text_of(sentence(event, Names.of([event])))


# --- sentences ------------------------------------------------------------------------------------


def test_it_works(viewer: Client) -> None:
    make_user(OWNER, display_name="Barack Obama")
    audit.note("operator:mia", "user.suspend", user_id=OWNER, reason="asked to")
    text = text_of(viewer.get(LOG))
    assert "operator:mia suspended Barack Obama (because asked to)" in text
    assert f"{timezone.localdate():%Y-%m-%d}" in text and "UTC" in text


def test_the_name_of_a_setting_stays_as_it_is() -> None:
    changes = {"MIN_FACE_QUALITY": 0.7, "FACESVC_REQUIRE_CONSENT": None}
    audit.note("service:app", "collection.rules", collection="shop", changes=changes)
    text = said(AuditEvent.objects.get())
    assert "MIN_FACE_QUALITY 0.7" in text and "FACESVC_REQUIRE_CONSENT –" in text


def test_every_action_has_a_sentence() -> None:
    """Those that the product notes, by how they stand in its source."""
    packages = (Path(__file__).parents[3] / name for name in ("recognition", "management", "batch"))
    sources = [path.read_text() for each in packages for path in each.rglob("*.py")]
    call = re.compile(r"(?:audit\.note|_note|_save_face)\(.*?\)", re.DOTALL)
    noted = {
        action
        for source in sources
        for found in call.findall(source)
        for action in re.findall(r'"([a-z_]+\.[a-z_]+)"', found)
    }
    assert {"user.suspend", "face.register", "job.cancel", "group.create"} <= noted
    assert noted - set(SENTENCES) == set()


def test_two_people_and_a_face() -> None:
    make_user(OWNER, display_name="Ann")
    face = make_face(make_user(FRIEND, display_name="Bob"), vector(0))
    event = audit.note(
        "operator:mia", "face.move", user_id=OWNER, other_user_id=FRIEND, face_id=face.face_id
    )
    assert said(event) == f"operator:mia moved face {face.face_id} from Ann to Bob"


def test_who_is_gone_is_an_id() -> None:
    event = audit.note("operator:mia", "face.view", user_id=STRANGER, face_id="face_0123456789ab")
    assert said(event) == (
        "operator:mia looked at a face that is gone (face_0123456789ab) "
        f"of a person who is gone ({STRANGER})"
    )


def test_people_who_act_have_their_names() -> None:
    make_user(OWNER, display_name="Ann")
    make_user(FRIEND, display_name="Bob")
    event = audit.note(f"user:{OWNER}", "friendship.create", user_id=OWNER, friend_id=str(FRIEND))
    assert said(event) == "Ann made Ann and Bob friends"
    event = audit.note("service:app", "identify.everyone", viewer_id=FRIEND)
    assert said(event) == "service:app searched everyone, whatever their privacy (on behalf of Bob)"


def test_an_action_without_a_sentence_hides_nothing() -> None:
    make_user(OWNER, display_name="Ann")
    parts = ["a", "b_c", "d"]
    event = audit.note("system", "user.new_thing", user_id=OWNER, some_count=3, parts=parts)
    assert said(event) == "system: user new thing, about Ann (some count: 3; parts: a, b c and d)"


def test_what_was_emptied_by_an_erasure_can_be_read() -> None:
    event = audit.note("service:app", "membership.create", user_id=STRANGER)
    assert "put a person who is gone" in said(event) and "into the group …" in said(event)


def test_names_cannot_be_markup() -> None:
    make_user(OWNER, display_name="<script>alert(1)</script>")
    event = audit.note("operator:<b>", "user.suspend", user_id=OWNER, reason="<i>")
    html = sentence(event, Names.of([event]))
    assert "<script>" not in html and "<b>" not in html and "<i>" not in html


def test_actions_in_words() -> None:
    assert label("user.suspend") == "suspended a person"
    assert label("face.move") == "moved a face from a person to another person"
    assert label("job.cancel") == "cancelled the job …"
    assert len({label(action) for action in SENTENCES}) == len(SENTENCES)


# --- the list -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("action=user.unlock", {"user.unlock"}),
        ("by=operator", {"user.unlock", "user.suspend"}),
        ("by=service", {"face.change"}),
        ("q=operator:mia", {"user.unlock", "user.suspend"}),
        ("q=bar", {"user.unlock", "user.suspend"}),
        (f"q={OWNER}", {"user.unlock", "user.suspend"}),
        (f"user_id={OWNER}", {"user.unlock", "user.suspend"}),
        ("q=face_0123456789ab", {"face.change"}),
        ("q=nobody", set()),
        ("q=req-7", {"face.change"}),
    ],
)
def test_filters_and_search(viewer: Client, query: str, expected: set[str]) -> None:
    make_user(OWNER, display_name="Barack Obama")
    audit.note("operator:mia", "user.unlock", user_id=OWNER)
    audit.note("operator:mia", "user.suspend", user_id=OWNER)
    AuditEvent.objects.create(
        actor="service:app",
        action="face.change",
        user_id=FRIEND,
        face_id="face_0123456789ab",
        request_id="req-7",
    )
    answer = viewer.get(f"{LOG}?{query}")
    assert answer.status_code == 200
    assert {event.action for event in answer.context["cl"].result_list} == expected


def test_a_page_asks_the_same_however_many_people(
    viewer: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(1, 40):
        user = make_user(UUID(int=number), display_name=f"Person {number}")
        audit.note("operator:mia", "user.suspend", user_id=user.pk)
    with django_assert_max_num_queries(12) as queries:
        answer = viewer.get(LOG)
    assert "Person 39" in text_of(answer)
    assert not [each["sql"] for each in queries if "count(" in each["sql"].lower()]


def test_dates_lead_to_a_day(viewer: Client) -> None:
    audit.note("operator:mia", "user.unlock")
    today = timezone.localdate()
    assert f"?at__year={today.year}" in viewer.get(LOG).content.decode()
    day = f"{LOG}?at__year={today.year}&at__month={today.month}&at__day={today.day}"
    answer = viewer.get(day)
    assert answer.context["cl"].result_count == 1
    assert f"‹ {today:%B %Y}" in text_of(answer)
    before = viewer.get(f"{LOG}?at__year={today.year - 1}")
    assert before.context["cl"].result_count == 0


def test_years_months_and_days() -> None:
    first, last = date(2025, 11, 20), date(2026, 2, 3)
    assert dates.choices(first, last) == [("2026", (2026,)), ("2025", (2025,))]
    assert dates.choices(first, last, 2025)[1:] == [
        ("November", (2025, 11)),
        ("December", (2025, 12)),
    ]
    assert dates.choices(first, last, 2026, 2)[1:] == [
        ("February 1", (2026, 2, 1)),
        ("February 2", (2026, 2, 2)),
        ("February 3", (2026, 2, 3)),
    ]
    assert dates.choices(first, last, 2026, 2, 1) == [("‹ February 2026", (2026, 2))]
    assert dates.choices(first, last, 2026, 13)[0] == ("‹ All dates", ())


@pytest.mark.parametrize("query", ["at__year=x", "at__year=2026&at__month=77", "user_id=x", "p=x"])
def test_a_made_up_address_is_no_error(viewer: Client, query: str) -> None:
    audit.note("operator:mia", "user.unlock")
    assert viewer.get(f"{LOG}?{query}").status_code in (200, 302, 400)


def test_one_event(viewer: Client) -> None:
    event = audit.note("operator:mia", "user.unlock", user_id=OWNER)
    text = text_of(viewer.get(f"{LOG}{event.pk}/change/"))
    assert "operator:mia unlocked" in text and "details" not in text.lower()


# --- the active model -----------------------------------------------------------------------------


def test_the_active_model(
    viewer: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    make_face(make_user(OWNER, display_name="Ann"), vector(0))
    with django_assert_max_num_queries(17):
        text = text_of(viewer.get(MODEL))
    pack = engine.pack(engine.active_model().pack)
    assert pack.licence in text and pack.model_version in text
    assert "standard" in text and "1 of 10,000 comparisons" in text
    assert f"{pack.embedding_version} (serves)" in text
    assert "1 face would be lost" in text and "Ann" in text
    assert "manage.py reembed --pack opencv" in text
    assert "manage.py models activate opencv" in text


def test_a_better_model(viewer: Client, settings: Settings) -> None:
    """Free, and not active: unless somebody wants the active one."""
    advice = "permissive compares faces better"
    engine.active_model()
    recognition_models.ActiveModel.objects.update(pack="dlib", reason="It was asked for.")
    assert advice not in text_of(viewer.get(MODEL)) + text_of(viewer.get("/admin/"))
    settings.FACESVC_PACK = "auto"
    text = text_of(viewer.get(MODEL))
    assert advice in text and "It was asked for." in text
    assert "manage.py reembed" not in text.partition("The service goes on with")[0]
    make_face(make_user(OWNER), vector(0))
    commands = text_of(viewer.get(MODEL)).partition("The service goes on with")[0]
    assert "manage.py reembed --pack permissive manage.py models activate permissive" in commands
    assert "The model permissive compares faces better" in text_of(viewer.get("/admin/"))
    recognition_models.ActiveModel.objects.update(pack="opencv")
    assert advice not in text_of(viewer.get(MODEL)) + text_of(viewer.get("/admin/"))


def test_faces_with_a_picture_are_not_lost() -> None:
    face = make_face(make_user(OWNER), vector(0))
    FaceCrop.objects.create(face=face, sealed=b"x")
    assert model_page.page()["lacking"]["faces"] == 0


def test_many_faces_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_page, "_MOST_FACES", 1)
    monkeypatch.setattr(model_page, "_MOST_PEOPLE", 1)
    for user in (make_user(OWNER), make_user(FRIEND)):
        make_face(user, vector(0))
    lacking = model_page.page()["lacking"]
    assert (lacking["faces"], lacking["is_cut"], lacking["has_more_people"]) == (1, True, True)
    assert len(lacking["people"]) == 1


def test_a_pack_that_is_not_on_this_machine(viewer: Client) -> None:
    engine.active_model()
    recognition_models.ActiveModel.objects.update(pack="elsewhere")
    answer = viewer.get(MODEL)
    assert answer.status_code == 200 and "elsewhere" in text_of(answer)


def test_nobody_without_the_permission_sees_it(client: Client, settings: Settings) -> None:
    settings.SESSION_COOKIE_SECURE = False
    client.force_login(User.objects.create_user("nobody", is_staff=True))
    assert client.get(MODEL).status_code == client.get(LOG).status_code == 403
