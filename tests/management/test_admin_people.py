"""The moderators' pages about people: what they show, to whom, and what they do."""

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from cryptography.fernet import Fernet
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.contrib.auth.models import User as Account
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from django.utils.html import escape
from pytest_django import Settings

from management import moderation
from management.admin import words
from management.moderation import MAX_REASON
from recognition.models import (
    Attempt,
    AuditEvent,
    Face,
    FaceCrop,
    FailureCount,
    MergedUser,
    PossibleDuplicate,
    Session,
    User,
)
from recognition.models.user_ids import UserId
from recognition.privacy import sealing
from tests.support.builders import (
    FRIEND,
    OWNER,
    PICTURE,
    STRANGER,
    FakePipeline,
    Person,
    befriend,
    data_of,
    make_face,
    make_group,
    make_user,
    misread,
    near,
    refusal,
    vector,
)
from tests.support.dump import dump, tables_with
from tests.support.photos import astronaut

pytestmark = pytest.mark.django_db
PEOPLE, FACES = "/admin/recognition/user/", "/admin/recognition/face/"
FIND = f"{FACES}find-by-photo/"
VIEWER = ("view_user", "view_face", "view_session", "view_attempt", "view_failurecount")
VIEWER += ("view_auditevent", "view_possibleduplicate")
MODERATOR = (*VIEWER, "view_pictures", "moderate_user", "erase_user")
NAME = "Zoë Quirkington"


@pytest.fixture(autouse=True)
def keys(settings: Settings) -> None:
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = False
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    settings.STORE_FACE_CROPS = True


@pytest.fixture
def zoe() -> User:
    return make_user(OWNER, display_name=NAME)


@pytest.fixture
def face(zoe: User) -> Face:
    made = make_face(zoe, vector(1), quality_components={"size": 0.9, "sharpness": 0.2})
    FaceCrop.objects.create(face=made, sealed=sealing.seal_picture(astronaut()[:256, :256]))
    return made


@pytest.fixture
def moderator(client: Client) -> Client:
    return log_in(client, *MODERATOR)


@pytest.fixture
def viewer() -> Client:
    return log_in(Client(), *VIEWER)


def log_in(client: Client, *permissions: str) -> Client:
    account = Account.objects.create_user(f"operator{Account.objects.count()}", is_staff=True)
    account.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(account)
    return client


def page_of(row: User | Face, page: str = "change") -> str:
    return f"{PEOPLE if isinstance(row, User) else FACES}{row.pk}/{page}/"


def pictures_in(answer: HttpResponse) -> list[str]:
    return re.findall(r'<img class="face-picture" src="([^"]+)"', answer.content.decode())


def text_of(answer: HttpResponse) -> str:
    assert answer.status_code == 200, answer
    return answer.content.decode()


# --- looking --------------------------------------------------------------------------------------


def test_it_works(moderator: Client, zoe: User, face: Face) -> None:
    other = make_user(FRIEND, display_name="A friend of hers")
    befriend(zoe, other)
    make_group("hiking", zoe)
    later = timezone.now() + timedelta(hours=1)
    Session.objects.create(user=zoe, purpose="video_call", level="standard", expires_at=later)
    Attempt.objects.create(
        user=zoe, source="own", result="no_match", risk_level="high", factors=["new_device"]
    )
    FailureCount.objects.create(
        user=zoe, source="own", failures=51, locked_at=later, last_failure_at=later
    )
    page = text_of(moderator.get(page_of(zoe)))
    for shown in (NAME, "A friend of hers", "hiking", "video call", "no match", "new device"):
        assert shown in page
    assert "Locked since" in page and "Unlock…" in page and "Friends: friends and" in page
    assert "good (0.90): blurred" in page
    assert re.search(r"Known since</dt><dd>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC<", page)
    assert "data:image" not in page and "embedding" not in page
    assert len(re.findall(r"<img", page)) == 1


def test_a_look_at_a_person_is_one_event(moderator: Client, zoe: User, face: Face) -> None:
    make_face(zoe, vector(2))
    answer = moderator.get(page_of(zoe))
    for address in pictures_in(answer):
        assert moderator.get(address).status_code == 200
    (event,) = AuditEvent.objects.all()
    assert (event.action, event.user_id, event.actor) == ("user.view", OWNER, "operator:operator0")
    moderator.get(page_of(face))
    (event,) = AuditEvent.objects.exclude(pk=event.pk)
    assert (event.action, event.user_id, event.face_id) == ("face.view", OWNER, face.face_id)


def test_a_page_of_pictures_is_one_event(moderator: Client, viewer: Client, face: Face) -> None:
    assert viewer.get(FACES).status_code == moderator.get(f"{FACES}?view=list").status_code == 200
    assert not AuditEvent.objects.exists()
    assert len(pictures_in(moderator.get(FACES))) == 1
    assert AuditEvent.objects.get().action == "face.list"


SEARCHES = {
    "the name": (NAME, True),
    "parts of it": ("kington zoë", True),
    "the id": (str(OWNER), True),
    "the id without dashes": (OWNER.hex, True),
    "how the id begins": (str(OWNER)[:8], True),
    "the face's id": ("FACE", True),
    "how that begins": ("FACE_START", True),
    "another name": ("Quirkham", False),
    "another id": (str(STRANGER), False),
    "a wildcard": ("%", False),
}


@pytest.mark.parametrize("case", SEARCHES)
@pytest.mark.parametrize("where", [PEOPLE, f"{FACES}?view=list"])
def test_search(moderator: Client, face: Face, case: str, where: str) -> None:
    text, is_found = SEARCHES[case]
    make_face(make_user(FRIEND, display_name="Somebody"), vector(3))
    text = text.replace("FACE_START", face.face_id[:10]).replace("FACE", face.face_id)
    view, _, options = where.partition("?")
    options = {"view": "list"} if options else {}
    page = text_of(moderator.get(view, {"q": text, **options}))
    assert ("Zoë" in page.replace(f'value="{text}"', "")) == is_found
    assert f"{FRIEND}/change/" not in page


FILTERS = {
    "suspended=yes": [STRANGER],
    "suspended=no": [OWNER, FRIEND],
    "locked=yes": [FRIEND],
    "privacy_level=public": [STRANGER],
}


@pytest.mark.parametrize("chosen", FILTERS)
def test_filters(moderator: Client, chosen: str, zoe: User) -> None:
    now = timezone.now()
    make_user(STRANGER, "public", suspended_at=now)
    count = {"source": "own", "failures": 50, "last_failure_at": now, "locked_at": now}
    FailureCount.objects.create(user=make_user(FRIEND), **count)
    page = text_of(moderator.get(f"{PEOPLE}?{chosen}"))
    found = {UUID(each) for each in re.findall(rf"{PEOPLE}([0-9a-f-]{{36}})/change/", page)}
    assert found == set(FILTERS[chosen])


def test_pages_of_a_list(moderator: Client) -> None:
    User.objects.bulk_create(User(display_name=f"Person {n}") for n in range(101))
    first = text_of(moderator.get(PEOPLE))
    assert "Page 1" in first and "?p=2" in first and "Newer" not in first
    last = text_of(moderator.get(f"{PEOPLE}?p=3"))
    assert "?p=2" in last and "Older" not in last
    assert "Nothing here" in text_of(moderator.get(f"{PEOPLE}?q=unheard"))
    for nonsense in ("0", "-1", "101", "x"):
        assert moderator.get(f"{PEOPLE}?p={nonsense}").status_code in (200, 302)


def test_a_person_who_is_gone(moderator: Client, zoe: User) -> None:
    assert moderator.get(f"{PEOPLE}{STRANGER}/change/")["Location"] == PEOPLE
    assert moderator.get(f"{PEOPLE}nonsense/change/").status_code == 404
    assert moderator.get(f"{PEOPLE}{STRANGER}/suspend/").status_code == 302
    assert moderator.get(f"{FACES}12345/change/")["Location"] == FACES
    assert moderator.get(f"{FACES}12345/move/").status_code == 302
    assert moderator.get(f"{PEOPLE}{STRANGER}/receipt/").status_code == 404


def test_what_an_app_stored_in_words() -> None:
    stored = {
        "consent": {"given_at": "2024", "text_version": None},
        "tags": ["my_phone", 1, False],
        "seen": [{"place_name": "a_b"}],
        "notes": [],
    }
    assert words.facts_of(stored) == [
        ("consent, given at", "2024"),
        ("consent, text version", "–"),
        ("tags", "my_phone, 1 and no"),
        ("seen", "place name a_b"),
        ("notes", "nothing"),
    ]


# --- pictures -------------------------------------------------------------------------------------


def test_a_picture(moderator: Client, face: Face) -> None:
    (address,) = pictures_in(moderator.get(page_of(face)))
    answer = moderator.get(address)
    assert answer["Content-Type"] == "image/jpeg" and answer.content[:2] == b"\xff\xd8"
    assert {"no-store", "private"} <= set(answer["Cache-Control"].split(", "))


def test_whose_picture_it_is_to_see(moderator: Client, viewer: Client, face: Face) -> None:
    (address,) = pictures_in(moderator.get(page_of(face)))
    assert viewer.get(address).status_code == 403
    assert Client().get(address).status_code == 302
    other = log_in(Client(), *MODERATOR)
    assert other.get(address).status_code == 404  # handed on, without a trace of whoever looks
    assert moderator.get(f"{FACES}picture/1-{face.pk}/").status_code == 404
    Account.objects.get(username="operator0").user_permissions.clear()
    assert moderator.get(address).status_code == 403


def test_the_address_of_a_picture_ends(
    moderator: Client, face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    from management.admin import pictures

    (address,) = pictures_in(moderator.get(page_of(face)))
    monkeypatch.setattr(pictures, "_SECONDS", -1)
    assert moderator.get(address).status_code == 404


def test_a_viewer_is_told_why_there_is_no_picture(viewer: Client, face: Face) -> None:
    for page in (page_of(face), page_of(face.user), FACES):
        answer = viewer.get(page)
        assert not pictures_in(answer) and "no permission to see pictures" in text_of(answer)


def test_why_there_is_no_picture(moderator: Client, face: Face, settings: Settings) -> None:
    (address,) = pictures_in(moderator.get(page_of(face)))
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    answer = moderator.get(address)
    assert answer["Content-Type"] == "image/svg+xml" and b"No key opens" in answer.content
    settings.FACESVC_CROP_KEYS = []
    assert "No key decrypts" in text_of(moderator.get(page_of(face)))
    FaceCrop.objects.all().delete()
    assert "No picture was kept" in text_of(moderator.get(page_of(face)))
    settings.STORE_FACE_CROPS = False
    assert "STORE_FACE_CROPS is off" in text_of(moderator.get(page_of(face)))
    assert moderator.get(address).status_code == 404


# --- acting ---------------------------------------------------------------------------------------


def do(client: Client, row: User | Face, what: str, **fields: Any) -> HttpResponse:
    return client.post(page_of(row, what), fields)


def history(client: Client, user: User) -> str:
    return text_of(client.get(page_of(user, "history")))


def test_suspend_and_unsuspend(
    moderator: Client, zoe: User, face: Face, fake: FakePipeline, service: Person
) -> None:
    fake.show(vector(1))
    assert "Suspend Zoë" in text_of(moderator.get(page_of(zoe, "suspend")))
    assert "required" in text_of(do(moderator, zoe, "suspend"))
    assert do(moderator, zoe, "suspend", reason="Impostor").status_code == 302
    zoe.refresh_from_db()
    assert zoe.suspended_at and "Suspended: Impostor" in history(moderator, zoe)
    event = AuditEvent.objects.get(action="user.suspend")
    assert (event.actor, event.user_id) == ("operator:operator0", OWNER)
    assert "End the suspension…" in text_of(moderator.get(page_of(zoe)))
    assert do(moderator, zoe, "unsuspend").status_code == 302
    zoe.refresh_from_db()
    assert zoe.suspended_at is None and "No longer suspended" in history(moderator, zoe)


def test_a_reason_is_as_long_as_in_the_api(moderator: Client, face: Face, admin: Person) -> None:
    address = f"faces/{face.face_id}/suspend"
    too_long, long = "x" * (MAX_REASON + 1), "x" * MAX_REASON
    assert do(moderator, face, "suspend", reason=too_long).status_code == 200  # the form once more
    assert refusal(admin.post(address, reason=too_long)) == (400, "invalid_request")
    assert not AuditEvent.objects.filter(action="face.suspend").exists()
    assert do(moderator, face, "suspend", reason=long).status_code == 302
    do(moderator, face, "unsuspend")
    data_of(admin.post(address, reason=long))
    assert AuditEvent.objects.filter(action="face.suspend", details__reason=long).count() == 2


def test_suspend_a_face(moderator: Client, face: Face) -> None:
    do(moderator, face, "suspend", reason="A photo of a photo")
    face.refresh_from_db()
    assert face.suspended_at and "A photo of a photo" in history(moderator, face.user)
    assert "Suspended since" in text_of(moderator.get(page_of(face)))
    do(moderator, face, "unsuspend")
    face.refresh_from_db()
    assert face.suspended_at is None


def test_unlock(moderator: Client, zoe: User) -> None:
    now = timezone.now()
    FailureCount.objects.create(
        user=zoe, source="own", failures=50, locked_at=now, last_failure_at=now
    )
    assert do(moderator, zoe, "unlock").status_code == 302
    assert not FailureCount.objects.exists() and "Unlocked" in history(moderator, zoe)


def test_move_a_face(moderator: Client, face: Face) -> None:
    other = make_user(FRIEND, display_name="Right person")
    choose = page_of(face, "move")
    hits = text_of(moderator.get(choose, {"q": "right"}))
    assert f"?person={FRIEND}" in hits and f"?person={OWNER}" not in hits
    asked = text_of(moderator.get(f"{choose}?person={FRIEND}"))
    assert f"Move this face from {NAME} to Right person?" in asked
    answer = moderator.post(f"{choose}?person={FRIEND}")
    assert answer["Location"] == page_of(other)
    face.refresh_from_db()
    assert face.user_id == FRIEND
    for person in (other, User.objects.get(pk=OWNER)):
        assert f"Moved {face.face_id}" in history(moderator, person)


def test_merge(moderator: Client, zoe: User, face: Face) -> None:
    other = make_user(FRIEND, display_name="The same Zoë")
    choose = page_of(zoe, "merge")
    assert "No person was found" in text_of(moderator.get(choose, {"q": "unheard"}))
    assert "which other person" in text_of(moderator.get(f"{choose}?person={OWNER}"))
    assert "gone" in text_of(moderator.get(f"{choose}?person={FRIEND}"))
    assert not AuditEvent.objects.filter(action="user.merge").exists()
    assert moderator.post(f"{choose}?person={FRIEND}")["Location"] == page_of(other)
    face.refresh_from_db()
    assert face.user_id == FRIEND and MergedUser.objects.get(pk=OWNER).into_id == FRIEND
    assert "Merged another person into this one" in history(moderator, other)
    assert "was merged into this one" in text_of(moderator.get(page_of(zoe), follow=True))


def test_erase(moderator: Client, zoe: User, face: Face) -> None:
    befriend(zoe, make_user(FRIEND))
    assert "required" in text_of(do(moderator, zoe, "erase"))
    assert User.objects.filter(pk=OWNER).exists()
    answer = do(moderator, zoe, "erase", sure="on")
    assert answer["Location"] == page_of(zoe, "receipt")
    receipt = text_of(moderator.get(answer["Location"]))
    event = AuditEvent.objects.get(action="user.erase")
    assert event.details["receipt_id"] in receipt and "Face crops" in receipt
    assert moderator.get(page_of(zoe))["Location"] == page_of(zoe, "receipt")
    assert event.details["receipt_id"] in LogEntry.objects.get().object_repr


def test_an_erasure_takes_what_the_pages_noted(moderator: Client, zoe: User, face: Face) -> None:
    other = make_user(FRIEND, display_name="Somebody else")
    wrong = make_face(other, vector(5))
    do(moderator, zoe, "suspend", reason="Impostor")
    do(moderator, zoe, "unsuspend")
    do(moderator, face, "suspend", reason="Blurred")
    do(moderator, face, "unsuspend")
    moderator.post(f"{page_of(wrong, 'move')}?person={OWNER}")
    assert tables_with(dump(), [NAME.encode()]) >= {"django_admin_log", "recognition_user"}
    do(moderator, zoe, "erase", sure="on")
    spelled = [str(OWNER).encode(), OWNER.hex.encode(), OWNER.bytes]
    assert tables_with(dump(), spelled) == {"recognition_auditevent"}
    for trace in (NAME, face.face_id, wrong.face_id):
        assert not tables_with(dump(), [trace.encode()]), trace


def test_nothing_is_noted_of_who_is_being_erased(
    moderator: Client, zoe: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def erased_meanwhile(**_: Any) -> None:
        User.objects.filter(pk=OWNER).delete()

    monkeypatch.setattr(moderation, "suspend_user", erased_meanwhile)
    do(moderator, zoe, "suspend", reason="Impostor")
    assert not LogEntry.objects.exists()


def test_a_refusal_is_told_in_words(moderator: Client, zoe: User, face: Face) -> None:
    moderation.move_face(actor="service:app", face_id=face.face_id, user_id=make_user(FRIEND).pk)
    answer = moderator.post(f"{page_of(face, 'move')}?person={FRIEND}", follow=True)
    assert "To which person" in text_of(answer)  # it is there already: choose another one
    assert Face.objects.get().user_id == FRIEND


ACTS = ("suspend", "unsuspend", "unlock", "merge", "erase", "receipt")


def test_a_viewer_can_do_none_of_it(viewer: Client, zoe: User, face: Face) -> None:
    for method in ("get", "post"):
        for what in ACTS[:-1]:
            assert getattr(viewer, method)(page_of(zoe, what)).status_code == 403, what
        for what in ("suspend", "unsuspend", "move"):
            assert getattr(viewer, method)(page_of(face, what)).status_code == 403, what
        assert getattr(viewer, method)(FIND).status_code == 403
    page = text_of(viewer.get(page_of(zoe))) + text_of(viewer.get(page_of(face)))
    assert 'class="acts"' not in page


@pytest.mark.parametrize("lacking", ["moderate_user", "erase_user", "view_pictures"])
def test_each_permission_by_itself(client: Client, zoe: User, face: Face, lacking: str) -> None:
    log_in(client, *(set(MODERATOR) - {lacking}))
    expected = {
        page_of(zoe, "suspend"): lacking == "moderate_user",
        page_of(face, "move"): lacking == "moderate_user",
        page_of(zoe, "erase"): lacking == "erase_user",
        FIND: lacking == "view_pictures",
    }
    for path, is_refused in expected.items():
        assert client.get(path).status_code == (403 if is_refused else 200), path


# --- find by photo --------------------------------------------------------------------------------


def photo(data: bytes = PICTURE) -> Any:
    from django.core.files.uploadedfile import SimpleUploadedFile

    return {"photo": SimpleUploadedFile("who.png", data, "image/png")}


def test_find_by_photo(moderator: Client, face: Face, fake: FakePipeline) -> None:
    """Also who is private and suspended, and a face that no search finds."""
    make_face(make_user(FRIEND, "private"), near(vector(1), 0.99), searchable=False)
    suspended = make_user(STRANGER, suspended_at=timezone.now())
    make_face(suspended, near(vector(1), 0.98, toward=90))
    fake.show(vector(1))
    answer = moderator.post(FIND, photo())
    page = text_of(answer)
    people = [str(OWNER), str(FRIEND), str(STRANGER)]
    assert re.findall(rf'card-title" href="{PEOPLE}([0-9a-f-]+)/change', page) == people
    assert page.count("Person suspended") == page.count("Not searchable") == 1
    assert "Very likely the same person" in page and len(pictures_in(answer)) == 1
    event = AuditEvent.objects.get()
    assert (event.action, event.details) == ("face.find_by_photo", {"faces": 1, "candidates": 3})


def test_a_photo_of_several_people(moderator: Client, face: Face, fake: FakePipeline) -> None:
    fake.show([vector(1), vector(7)])
    page = text_of(moderator.post(FIND, photo()))
    assert "Face 1 of 2" in page and "No person here resembles this face." in page


def test_a_photo_of_nobody(moderator: Client, fake: FakePipeline) -> None:
    fake.show([])
    assert "There is no face on this photo" in text_of(moderator.post(FIND, photo()))


def test_what_is_no_photo(moderator: Client, fake: FakePipeline, settings: Settings) -> None:
    assert moderator.post(FIND).status_code == 400
    assert moderator.post(FIND, photo(b"not a picture")).status_code == 400
    settings.MAX_IMAGE_BYTES = 100
    settings.BODY_ROOM_BYTES = 100
    answer = moderator.post(FIND, photo(bytes(1000)))
    assert answer.status_code == 413 and b"megabytes at most" in answer.content


def test_a_photo_of_megabytes_is_taken(moderator: Client, fake: FakePipeline) -> None:
    fake.show([])
    answer = moderator.post(FIND, photo(PICTURE + bytes(2 * 1024**2)))
    assert answer.status_code != 413


def test_a_photo_from_another_page_is_refused(zoe: User, fake: FakePipeline) -> None:
    strict = log_in(Client(enforce_csrf_checks=True), *MODERATOR)
    assert strict.post(FIND, photo()).status_code == 403
    assert Client(enforce_csrf_checks=True).post(FIND, photo()).status_code == 302


# --- possible duplicates --------------------------------------------------------------------------
DUPLICATES = "/admin/recognition/possibleduplicate/"


@pytest.fixture
def pair(zoe: User, face: Face) -> PossibleDuplicate:
    other = make_user(FRIEND, display_name="E. Quirkington")
    row = PossibleDuplicate(user_a=zoe, user_b=other, face_a=face, confidence=0.961)
    row.face_b = make_face(other, near(vector(1), 0.99))
    row.save()
    return row


def test_a_possible_duplicate(moderator: Client, viewer: Client, pair: PossibleDuplicate) -> None:
    page = f"{DUPLICATES}{pair.pk}/change/"
    assert f"{NAME} and E. Quirkington" in text_of(moderator.get(DUPLICATES))
    assert "0.96" in text_of(moderator.get(DUPLICATES, {"q": "e. quirk"}))
    assert "Nothing here" in text_of(moderator.get(DUPLICATES, {"q": "somebody"}))
    assert page in text_of(moderator.get(page_of(pair.user_b)))
    looked = AuditEvent.objects.count()
    answer = moderator.get(page)
    assert "Your decision" in text_of(answer) and len(pictures_in(answer)) == 1
    assert text_of(answer).count("No picture was kept") == 1
    assert AuditEvent.objects.filter(action="user.view").count() == looked + 2
    assert "Your decision" not in text_of(viewer.get(page))
    decide = f"{DUPLICATES}{pair.pk}/decide/"
    assert viewer.post(decide, {"decision": "different"}).status_code == 403
    for nonsense in ({}, {"decision": str(STRANGER)}):
        answer = moderator.post(decide, nonsense, follow=True)
        assert "Nothing was decided" in text_of(answer)


def test_different_people(moderator: Client, pair: PossibleDuplicate) -> None:
    page = f"{DUPLICATES}{pair.pk}/change/"
    decide = f"{DUPLICATES}{pair.pk}/decide/"
    assert moderator.post(decide, {"decision": "different"})["Location"] == DUPLICATES
    pair.refresh_from_db()
    assert (pair.state, pair.decided_by) == ("different_people", "operator:operator0")
    assert "There is nothing here yet" in text_of(moderator.get(DUPLICATES))
    assert "Different people" in text_of(moderator.get(f"{DUPLICATES}?state=different_people"))
    assert "Decided by operator:operator0" in text_of(moderator.get(page))
    for user in User.objects.all():
        assert "is another person" in history(moderator, user)
    answer = moderator.post(decide, {"decision": "different"}, follow=True)
    assert "already been decided" in text_of(answer)


@pytest.mark.parametrize("kept", [OWNER, FRIEND])
def test_the_same_person(moderator: Client, pair: PossibleDuplicate, kept: UUID) -> None:
    page = f"{DUPLICATES}{pair.pk}/change/"
    answer = moderator.post(f"{DUPLICATES}{pair.pk}/decide/", {"decision": str(kept)})
    assert answer["Location"] == f"{PEOPLE}{kept}/change/"
    assert User.objects.get().pk == kept and Face.objects.filter(user=kept).count() == 2
    assert "a former person" in text_of(moderator.get(f"{DUPLICATES}?state=all"))
    assert "Your decision" not in text_of(moderator.get(page))
    for late in ("different", str(OWNER), "None"):
        answer = moderator.post(f"{DUPLICATES}{pair.pk}/decide/", {"decision": late}, follow=True)
        assert "already been decided" in text_of(answer)


def test_a_pair_of_whom_one_is_gone(moderator: Client, pair: PossibleDuplicate) -> None:
    do(moderator, pair.user_a, "erase", sure="on")
    answer = moderator.get(f"{DUPLICATES}{pair.pk}/change/")
    assert answer["Location"] == DUPLICATES
    assert moderator.post(f"{DUPLICATES}{pair.pk}/decide/")["Location"] == DUPLICATES


def test_a_photo_of_a_misread_face(moderator: Client, fake: FakePipeline) -> None:
    """It is not said to hold no face: the moderator sees one."""
    fake.show(misread(vector(1)))
    page = text_of(moderator.post(FIND, photo()))
    assert "There is no face" not in page
    assert "1 face on this photo cannot be compared, because it is turned" in page


# --- ids that are no UUIDs ------------------------------------------------------------------------

APP_ID = "auth0|Zoë/64f1<b>"


@pytest.fixture
def nameless() -> User:
    """So that pages show the id in place of the name."""
    return make_user(UserId(APP_ID))


@pytest.mark.parametrize("text", [APP_ID, "AUTH0|zoë", "64f1", str(UserId(APP_ID))])
def test_search_by_an_id_of_the_app(moderator: Client, nameless: User, text: str) -> None:
    make_user(UserId("auth0|other"))
    page = text_of(moderator.get(PEOPLE, {"q": text}))
    assert f"{nameless.pk}/change/" in page and "auth0|other" not in page


def test_the_pages_of_an_id_of_the_app(moderator: Client, nameless: User) -> None:
    shown = escape(APP_ID)
    assert f"<code>{shown}</code>" in text_of(moderator.get(page_of(nameless)))
    do(moderator, nameless, "suspend", reason="Impostor")
    log = "/admin/recognition/auditevent/"
    for text in (APP_ID, str(nameless.pk), f"user:{APP_ID}"):
        page = text_of(moderator.get(log, {"q": text}))
        assert (f">{shown}</a>" in page) == (not text.startswith("user:"))
    do(moderator, nameless, "unsuspend")
    do(moderator, nameless, "erase", sure="on")
    for row in (APP_ID.encode(), b"64f1"):
        assert not tables_with(dump(), [row])
    assert str(nameless.pk) in text_of(moderator.get(page_of(nameless, "receipt")))
    page = text_of(moderator.get(log, {"q": APP_ID}))
    assert shown not in page.replace(f'value="{shown}"', "") and str(nameless.pk) in page
