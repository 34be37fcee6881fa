"""What moderators do with users and faces: suspend, unlock, move, merge."""

from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import F, Sum
from django.utils import timezone

from batch.models import Item, Job, Kind
from management import erasure, moderation
from management.graph import loading
from recognition import people
from recognition.enrolment import enrolling
from recognition.errors import ServiceError
from recognition.models import (
    Attempt,
    AuditEvent,
    Face,
    FaceCrop,
    FailureCount,
    Friendship,
    GalleryCount,
    IdempotencyKey,
    Listing,
    Membership,
    MergedUser,
    PossibleDuplicate,
    PublicSketch,
    RecentProbe,
    Session,
    Template,
    User,
    locks,
)
from tests.support.builders import (
    FRIEND,
    OWNER,
    PICTURE,
    PICTURE_BASE64,
    STRANGER,
    FakePipeline,
    Person,
    befriend,
    data_of,
    enrol_face,
    make_face,
    make_group,
    make_user,
    refusal,
    vector,
)

pytestmark = pytest.mark.django_db
MODERATOR = "operator:moderator"
LOCK_USERS = locks.lock_entirely
NOBODY = UUID("0000000f-0000-4000-8000-00000000000f")


def code_of(function: Any, **arguments: Any) -> str:
    with pytest.raises(ServiceError) as raised, transaction.atomic():
        function(actor=MODERATOR, **arguments)
    return raised.value.code


def assert_what_is_kept_is_right() -> None:
    """The listings, the counts of them and the public sketches are those of the rows."""
    listed = Listing.objects.values_list(
        "template_id", "user_id", "privacy_level", "suspended", "searchable", "taggable"
    )
    assert set(listed) == {
        (
            template.pk,
            template.user_id,
            template.user.privacy_level,
            bool(template.face.suspended_at or template.user.suspended_at),
            template.face.searchable,
            template.face.taggable,
        )
        for template in Template.objects.select_related("face", "user")
    }
    counts = GalleryCount.objects.order_by().values_list("privacy_level", "taggable", "shown")
    summed = {tuple(kind): n for *kind, n in counts.annotate(n=Sum("templates")) if n}
    rows = Listing.objects.all()
    assert summed == Counter(
        (row.privacy_level, row.taggable, row.searchable and not row.suspended) for row in rows
    )
    public = rows.filter(privacy_level="public", searchable=True, suspended=False)
    assert set(PublicSketch.objects.values_list("pk", flat=True)) == set(
        public.values_list("pk", flat=True)
    )
    assert not Template.objects.exclude(user=F("face__user")).exists()


# --- suspension -----------------------------------------------------------------------------------


def test_it_works() -> None:
    user = make_user(OWNER, "public")
    face, other = make_face(user, vector(1)), make_face(user, vector(2))
    moderation.suspend_face(actor=MODERATOR, face_id=face.face_id, reason="somebody else")
    assert_what_is_kept_is_right()
    assert PublicSketch.objects.count() == 1
    moderation.suspend_user(actor=MODERATOR, user_id=OWNER, reason="reported")
    assert_what_is_kept_is_right()
    assert not PublicSketch.objects.exists()
    moderation.unsuspend_user(actor=MODERATOR, user_id=OWNER)
    assert_what_is_kept_is_right()
    assert PublicSketch.objects.get().template.face_id == other.pk
    moderation.unsuspend_face(actor=MODERATOR, face_id=face.face_id)
    assert_what_is_kept_is_right()
    assert PublicSketch.objects.count() == 2
    events = AuditEvent.objects.order_by("pk").values_list("action", "face_id", "details")
    assert list(events) == [
        ("face.suspend", face.face_id, {"reason": "somebody else"}),
        ("user.suspend", "", {"reason": "reported"}),
        ("user.unsuspend", "", {}),
        ("face.unsuspend", face.face_id, {}),
    ]
    assert set(AuditEvent.objects.values_list("actor", "user_id")) == {(MODERATOR, OWNER)}


def test_once_more_changes_nothing() -> None:
    user = make_user(OWNER)
    face = make_face(user, vector(1))
    first = moderation.suspend_user(actor=MODERATOR, user_id=OWNER).suspended_at
    assert moderation.suspend_user(actor="service:other", user_id=OWNER).suspended_at == first
    moderation.suspend_face(actor=MODERATOR, face_id=face.face_id)
    moderation.suspend_face(actor=MODERATOR, face_id=face.face_id)
    assert AuditEvent.objects.count() == 2


def test_about_somebody_unknown() -> None:
    for function in (moderation.suspend_user, moderation.unsuspend_user, moderation.unlock_user):
        assert code_of(function, user_id=OWNER) == "user_not_found"
    for function in (moderation.suspend_face, moderation.unsuspend_face):
        assert code_of(function, face_id="face_0123456789ab") == "face_not_found"
    assert not AuditEvent.objects.exists()


def test_all_sessions_end(owner: Person) -> None:
    make_face(make_user(OWNER), vector(1))
    for purpose in ("login", "video_call"):
        data_of(owner.post("sessions", user_id=OWNER, purpose=purpose), 201)
    moderation.suspend_user(actor=MODERATOR, user_id=OWNER)
    assert {session.state for session in Session.objects.all()} == {"ended"}
    assert not any(session.is_open for session in Session.objects.all())


# --- moving a face --------------------------------------------------------------------------------


def test_a_moved_face_is_the_other_users(
    service: Person, fake: FakePipeline, settings: Any
) -> None:
    settings.STORE_FACE_CROPS = False
    make_user(OWNER, "public"), make_user(FRIEND, "private")
    fake.show(vector(1))
    headers = {"Idempotency-Key": "k"}
    fields = {"user_id": str(OWNER), "image": PICTURE_BASE64, "metadata": {"a": 1}}
    face_id = data_of(service.send("post", "register", fields, headers=headers), 201)["face_id"]
    assert data_of(service.post("verify", user_id=OWNER, image=PICTURE_BASE64))["is_match"]
    FaceCrop.objects.create(face=Face.objects.get(), sealed=b"x")
    before = Template.objects.get()

    moved = moderation.move_face(actor=MODERATOR, face_id=face_id, user_id=FRIEND)

    assert (moved.user_id, moved.face_id, moved.metadata) == (FRIEND, face_id, {"a": 1})
    assert_what_is_kept_is_right()
    template = Template.objects.get()
    assert template.user_id == FRIEND and template.pk != before.pk
    assert template.embedding == before.embedding and template.created_at == before.created_at
    assert FaceCrop.objects.get().face.user_id == FRIEND
    verified = data_of(service.post("verify", user_id=OWNER, image=PICTURE_BASE64))
    assert verified["verification_result"] == "no_registered_faces"
    assert data_of(service.post("verify", user_id=FRIEND, image=PICTURE_BASE64))["is_match"]
    # What was the former user's does not name it any more.
    assert not IdempotencyKey.objects.exists()
    assert not Attempt.objects.filter(user=OWNER, face__isnull=False).exists()
    event = AuditEvent.objects.get(action="face.move")
    assert (event.user_id, event.other_user_id, event.face_id) == (OWNER, FRIEND, face_id)


def test_moves_that_cannot_be() -> None:
    face_id = make_face(make_user(OWNER), vector(1)).face_id
    move = moderation.move_face
    assert code_of(move, face_id=face_id, user_id=OWNER) == "same_user"
    assert code_of(move, face_id=face_id, user_id=NOBODY) == "user_not_found"
    assert code_of(move, face_id="face_0123456789ab", user_id=OWNER) == "face_not_found"
    make_user(FRIEND)
    moderation.merge_users(actor=MODERATOR, user_id=FRIEND, into=OWNER)
    assert code_of(move, face_id=face_id, user_id=FRIEND) == "user_merged"


def test_a_face_moved_to_a_suspended_user_is_hidden() -> None:
    face_id = make_face(make_user(OWNER, "public"), vector(1)).face_id
    make_user(FRIEND, "public", suspended_at=timezone.now())
    moderation.move_face(actor=MODERATOR, face_id=face_id, user_id=FRIEND)
    assert_what_is_kept_is_right()
    assert not PublicSketch.objects.exists()
    moderation.unsuspend_user(actor=MODERATOR, user_id=FRIEND)
    assert PublicSketch.objects.exists()


def test_results_of_jobs_do_not_name_a_moved_face(db: Any) -> None:
    face = make_face(make_user(OWNER), vector(1))
    make_user(FRIEND)
    found = {"user_id": str(OWNER), "face_id": face.face_id}
    result = {"identification_result": "found", "candidates": [found], "total_candidates": 1}
    job = Job.objects.create(
        kind=Kind.IDENTIFY,
        subject="app",
        scopes=[],
        options={},
        total=1,
        deadline_at=timezone.now(),
    )
    item = Item.objects.create(
        job=job, image_id="a", state="success", result=result, user_ids=[OWNER]
    )
    moderation.move_face(actor=MODERATOR, face_id=face.face_id, user_id=FRIEND)
    item.refresh_from_db()
    assert item.result["candidates"] == [] and item.result["identification_result"] == "not_found"


# --- merging two users ----------------------------------------------------------------------------


def test_all_goes_over() -> None:
    one, into, third = make_user(OWNER, "private"), make_user(FRIEND, "public"), make_user(STRANGER)
    face = make_face(one, vector(1), searchable=False, metadata={"consent": {"x": 1}})
    make_face(into, vector(2))
    befriend(one, into, third), befriend(into, third)
    hiking, chess = make_group("hiking", one, into), make_group("chess", one)
    now = timezone.now()
    for user, failures in ((one, 7), (into, 3)):
        FailureCount.objects.create(
            user=user, source="own", failures=failures, last_failure_at=now, locked_at=None
        )
    session = Session.objects.create(
        user=one, purpose="video_call", level="basic", client=f"user:{OWNER}", expires_at=now
    )
    Attempt.objects.create(user=one, source=f"user:{OWNER}", device="d", result="success")
    for of in (None, session):
        RecentProbe.objects.create(
            user=one, session=of, at=now, embedding_version="v", embedding=[0.0] * 511 + [1.0]
        )

    stays = moderation.merge_users(actor=MODERATOR, user_id=OWNER, into=FRIEND, reason="twice")

    assert stays.pk == FRIEND and stays.privacy_level == "private"
    assert not User.objects.filter(pk=OWNER).exists()
    assert MergedUser.objects.get().into_id == FRIEND
    assert_what_is_kept_is_right()
    face.refresh_from_db()
    assert (face.user_id, face.searchable) == (FRIEND, False)
    assert face.metadata == {"consent": {"x": 1}}
    pairs = {(row.user_id, row.friend_id) for row in Friendship.objects.all()}
    assert pairs == {(FRIEND, STRANGER), (STRANGER, FRIEND)}
    members = {(row.group_id, row.user_id) for row in Membership.objects.all()}
    assert members == {(hiking.pk, FRIEND), (chess.pk, FRIEND)}
    assert FailureCount.objects.get().failures == 7
    session.refresh_from_db()
    assert (session.user_id, session.client) == (FRIEND, f"user:{FRIEND}")
    attempt = Attempt.objects.get()
    assert (attempt.user_id, attempt.source) == (FRIEND, f"user:{FRIEND}")
    # What the one has used is not taken from the other either.
    assert {probe.user_id for probe in RecentProbe.objects.all()} == {FRIEND}
    event = AuditEvent.objects.get()
    assert (event.action, event.user_id, event.other_user_id) == ("user.merge", OWNER, FRIEND)
    assert event.details == {"faces": 1, "friendships": 0, "memberships": 1, "reason": "twice"}


def test_a_merge_knows_every_table_that_names_users() -> None:
    """The user is removed by SQL: a row of a table that is forgotten would make that fail."""
    fields = User._meta.get_fields(include_hidden=True)
    named = {field.related_model for field in fields if field.auto_created and field.is_relation}
    handed_over = {Face, Template, Friendship, Membership, Session, Attempt, FailureCount}
    handed_over |= {RecentProbe, PossibleDuplicate, MergedUser}
    kept_by_triggers = {Listing}
    assert named == handed_over | kept_by_triggers


@pytest.mark.parametrize("one", ["public", "friends", "private"])
@pytest.mark.parametrize("other", ["public", "friends", "private"])
def test_the_stricter_privacy_holds(one: str, other: str) -> None:
    make_user(OWNER, one), make_user(FRIEND, other)
    stays = moderation.merge_users(actor=MODERATOR, user_id=OWNER, into=FRIEND)
    order = ["public", "friends", "private"]
    assert stays.privacy_level == max(one, other, key=order.index)


def test_unless_another_one_is_asked_for() -> None:
    make_user(OWNER, "private"), make_user(FRIEND, "friends")
    moderation.merge_users(actor=MODERATOR, user_id=OWNER, into=FRIEND, privacy_level="public")
    assert User.objects.get().privacy_level == "public"


def test_a_merge_does_not_end_a_suspension(owner: Person) -> None:
    make_user(OWNER, suspended_at=timezone.now())
    make_face(make_user(FRIEND, "public"), vector(1))
    moderation.merge_users(actor=MODERATOR, user_id=OWNER, into=FRIEND)
    assert User.objects.get().suspended_at
    assert_what_is_kept_is_right()


def test_a_lock_goes_over() -> None:
    now = timezone.now()
    for user, locked_at in ((make_user(OWNER), now), (make_user(FRIEND), None)):
        FailureCount.objects.create(
            user=user, source="own", failures=50, last_failure_at=now, locked_at=locked_at
        )
    moderation.merge_users(actor=MODERATOR, user_id=OWNER, into=FRIEND)
    assert FailureCount.objects.get().locked_at == now
    assert moderation.unlock_user(actor=MODERATOR, user_id=FRIEND) == (FRIEND, 1)


def test_somebody_elses_move_comes_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again, and given up after a while."""
    make_user(STRANGER), make_user(FRIEND)
    face = make_face(make_user(OWNER), vector(1))
    faces = Face.objects.filter(pk=face.pk)

    def change() -> None:
        faces.update(user=STRANGER if faces.get().user_id == OWNER else OWNER)

    move = {"face_id": face.face_id, "user_id": FRIEND}
    come_between(monkeypatch, 1000, change)
    assert code_of(moderation.move_face, **move) == "unavailable"
    assert faces.get().user_id == OWNER
    come_between(monkeypatch, 1, change)
    moderation.move_face(actor=MODERATOR, **move)
    assert faces.get().user_id == FRIEND


def test_somebody_elses_merge_comes_between(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = sorted([OWNER, FRIEND, STRANGER])
    make_user(first), make_user(second), make_user(third)
    pair = PossibleDuplicate.objects.create(user_a_id=first, user_b_id=second, confidence=1)
    pairs = PossibleDuplicate.objects.filter(pk=pair.pk)

    def change() -> None:
        pairs.update(user_b=third if pairs.get().user_b_id == second else second)

    decide = {"duplicate_id": pair.pk, "decision": "same_person"}
    come_between(monkeypatch, 1000, change)
    assert code_of(moderation.decide, **decide) == "unavailable"
    assert pairs.get().state == "open" and not MergedUser.objects.exists()
    come_between(monkeypatch, 1, change)
    moderation.decide(actor=MODERATOR, **decide)
    assert MergedUser.objects.get().pk in (first, second)


def come_between(monkeypatch: pytest.MonkeyPatch, times: int, change: Callable[[], Any]) -> None:
    """Do something just before the users are locked, so many times."""
    left = iter(range(times))

    def locked_late(*ids: UUID) -> dict[UUID, User]:
        if next(left, None) is not None:
            change()
        return LOCK_USERS(*ids)

    monkeypatch.setattr(locks, "lock_entirely", locked_late)


def test_merges_that_cannot_be() -> None:
    make_user(OWNER), make_user(FRIEND), make_user(STRANGER)
    merge = moderation.merge_users
    assert code_of(merge, user_id=OWNER, into=OWNER) == "same_user"
    assert code_of(merge, user_id=OWNER, into=NOBODY) == "user_not_found"
    assert code_of(merge, user_id=NOBODY, into=OWNER) == "user_not_found"
    merge(actor=MODERATOR, user_id=OWNER, into=FRIEND)
    assert code_of(merge, user_id=OWNER, into=STRANGER) == "user_merged"
    assert code_of(merge, user_id=STRANGER, into=OWNER) == "user_merged"
    erasure.erase(actor=MODERATOR, user_id=STRANGER)
    assert code_of(merge, user_id=STRANGER, into=FRIEND) == "user_not_found"
    assert code_of(merge, user_id=FRIEND, into=STRANGER) == "user_not_found"


def test_a_chain_of_merges_leads_to_the_last() -> None:
    for number, user_id in enumerate((OWNER, FRIEND, STRANGER)):
        make_face(make_user(user_id), vector(number))
    moderation.merge_users(actor=MODERATOR, user_id=OWNER, into=FRIEND)
    moderation.merge_users(actor=MODERATOR, user_id=FRIEND, into=STRANGER)
    assert set(MergedUser.objects.values_list("pk", "into")) == {
        (OWNER, STRANGER),
        (FRIEND, STRANGER),
    }
    assert Face.objects.filter(user=STRANGER).count() == 3
    assert_what_is_kept_is_right()


def test_nobody_is_made_under_a_merged_id(service: Person, owner: Person, fake: Any) -> None:
    fake.show(vector(5))
    make_user(OWNER), make_user(FRIEND)
    moderation.merge_users(actor=MODERATOR, user_id=OWNER, into=FRIEND)
    lines = [b'{"user": {"user_id": "%s"}}' % str(OWNER).encode()]
    pair = [str(FRIEND), str(OWNER)]
    for person in (service, owner):
        answers = [
            person.post("register", user_id=OWNER, image=PICTURE_BASE64),
            person.post("verify", user_id=OWNER, image=PICTURE_BASE64),
            person.post("sessions", user_id=OWNER),
            person.post("identify", on_behalf_of=str(OWNER), image=PICTURE_BASE64),
            person.put(f"users/{OWNER}", display_name="x"),
            *(person.get(f"users/{OWNER}{path}") for path in ("", "/faces", "/friends", "/groups")),
            person.delete(f"users/{OWNER}"),
        ]
        for answer in answers:
            assert refusal(answer) == (404, "user_merged")
            assert str(FRIEND) not in answer.content.decode()
            assert answer.json()["error"]["details"] == {}
    assert refusal(service.put(f"users/{FRIEND}/friends/{OWNER}")) == (404, "user_merged")
    make_group("hiking")
    assert refusal(service.put(f"groups/hiking/members/{OWNER}")) == (404, "user_merged")
    for line in (*lines, b'{"friendship": ["%s", "%s"]}' % tuple(p.encode() for p in pair)):
        with pytest.raises(ServiceError) as raised, transaction.atomic():
            loading.import_graph(actor="test", lines=[line])
        assert raised.value.details["errors"][0]["code"] == "user_merged"
    assert not User.objects.filter(pk=OWNER).exists()


def test_the_database_refuses_a_merged_id() -> None:
    """Somebody may come past the checks, as at the moment of the merge."""
    make_user(OWNER), make_user(FRIEND)
    moderation.merge_users(actor=MODERATOR, user_id=OWNER, into=FRIEND)
    with pytest.raises(DatabaseError, match="not created again"), transaction.atomic():
        make_user(OWNER)
    with pytest.raises(DatabaseError, match="not created again"), transaction.atomic():
        User.objects.bulk_create([User(pk=NOBODY), User(pk=OWNER)])


def test_the_erasure_of_who_stays(service: Person) -> None:
    """The merged id stays unusable, and holds nothing."""
    make_face(make_user(OWNER), vector(1)), make_face(make_user(FRIEND), vector(2))
    moderation.merge_users(actor=MODERATOR, user_id=OWNER, into=FRIEND, reason="the name is Zoe")
    receipt = data_of(service.delete(f"users/{FRIEND}"))
    assert receipt["removed"]["faces"] == 2
    assert MergedUser.objects.get().into is None
    merge = AuditEvent.objects.get(action="user.merge")
    assert (merge.other_user_id, merge.details) == (None, {})
    assert refusal(service.get(f"users/{OWNER}")) == (404, "user_merged")
    assert refusal(service.delete(f"users/{OWNER}")) == (404, "user_merged")
    # For a backup of before the merge: both are erased again.
    erased = AuditEvent.objects.filter(action="user.erase").values_list("user_id", flat=True)
    assert set(erased) == {OWNER, FRIEND}


def test_what_was_answered_about_the_merged_is_not_answered_again(
    service: Person, fake: FakePipeline
) -> None:
    fake.show(vector(1))
    fields = {"user_id": str(OWNER), "image": PICTURE_BASE64}
    headers = {"Idempotency-Key": "k"}
    data_of(service.send("post", "register", fields, headers=headers), 201)
    make_user(FRIEND)
    moderation.merge_users(actor=MODERATOR, user_id=OWNER, into=FRIEND)
    again = service.send("post", "register", fields, headers=headers)
    assert refusal(again) == (404, "user_merged")


def test_jobs_go_over() -> None:
    make_user(OWNER), make_user(FRIEND)
    later = timezone.now()
    about = {"scopes": [], "options": {}, "total": 1, "deadline_at": later}
    job = Job.objects.create(kind=Kind.IDENTIFY, subject=str(OWNER), user_id=OWNER, **about)
    moderation.merge_users(actor=MODERATOR, user_id=OWNER, into=FRIEND)
    job.refresh_from_db()
    assert (job.subject, job.user_id) == (str(FRIEND), FRIEND)


def test_who_is_erased_takes_along_what_names_a_former_id() -> None:
    make_user(OWNER), make_user(FRIEND)
    about = {"scopes": [], "options": {}, "total": 1, "deadline_at": timezone.now()}
    job = Job.objects.create(kind=Kind.REGISTER, subject="app", **about)
    item = Item.objects.create(
        job=job,
        image_id="zoe.jpg",
        state="success",
        result={"registration_status": "success", "user_id": str(OWNER)},
        user_ids=[OWNER],
    )
    moderation.merge_users(actor=MODERATOR, user_id=OWNER, into=FRIEND)
    erasure.erase(actor=MODERATOR, user_id=FRIEND)
    item.refresh_from_db()
    assert item.image_id != "zoe.jpg" and item.result == {"registration_status": "erased"}


def test_an_enrolment_that_waits_for_the_merge(fake: FakePipeline, monkeypatch: Any) -> None:
    """The user is known when the request begins, and merged while the picture is looked at."""
    make_user(OWNER), make_user(FRIEND)
    fake.show(vector(1))
    look = enrolling._look

    def merge_first(*args: Any, **options: Any) -> Any:
        seen = look(*args, **options)
        moderation.merge_users(actor=MODERATOR, user_id=OWNER, into=FRIEND)
        return seen

    monkeypatch.setattr(enrolling, "_look", merge_first)
    with pytest.raises(ServiceError) as raised:
        enrol_face(OWNER, PICTURE)
    assert raised.value.code == "user_merged"
    assert people.not_found(OWNER).code == "user_merged"
    assert not Face.objects.exists()


def test_templates_are_still_never_changed() -> None:
    make_face(make_user(OWNER), vector(1))
    with connection.cursor() as cursor, pytest.raises(DatabaseError, match="never changed"):
        cursor.execute("UPDATE recognition_template SET user_id = user_id")
