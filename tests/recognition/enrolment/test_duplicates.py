"""Possible duplicates: found at enrolment and over the whole gallery, decided once for a pair."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from management import erasure, moderation
from recognition.enrolment import comparing_all, lookalikes
from recognition.errors import ServiceError
from recognition.models import (
    AuditEvent,
    DuplicateSearch,
    Face,
    MergedUser,
    PossibleDuplicate,
    Template,
    User,
)
from tests.support.builders import (
    FRIEND,
    OWNER,
    PICTURE_BASE64,
    STRANGER,
    FakePipeline,
    Person,
    data_of,
    make_face,
    make_user,
    near,
    vector,
)

pytestmark = pytest.mark.django_db
MODERATOR = "operator:moderator"


def pairs(**state: str) -> set[tuple[UUID, UUID | None]]:
    return set(PossibleDuplicate.objects.filter(**state).values_list("user_a", "user_b"))


def find() -> None:
    call_command("find_duplicates")


def decide(decision: str, **options: Any) -> PossibleDuplicate:
    row = PossibleDuplicate.objects.get(state="open")
    return moderation.decide(actor=MODERATOR, duplicate_id=row.pk, decision=decision, **options)


def test_it_works(fake: FakePipeline) -> None:
    """Also of who is suspended, and of faces that nobody may find."""
    make_face(make_user(OWNER, "private"), vector(1), searchable=False)
    make_face(make_user(FRIEND), vector(2))
    banned = make_face(make_user(STRANGER), near(vector(1), 0.99))
    moderation.suspend_user(actor=MODERATOR, user_id=STRANGER)
    find()
    found = PossibleDuplicate.objects.get()
    assert (found.user_a_id, found.user_b_id, found.state) == (OWNER, STRANGER, "open")
    assert found.face_b == banned and found.confidence > 0.95
    find()
    assert PossibleDuplicate.objects.get().pk == found.pk


def test_the_best_match_of_a_pair_is_kept(fake: FakePipeline) -> None:
    one, other = make_user(OWNER), make_user(FRIEND)
    make_face(one, vector(1)), make_face(other, near(vector(1), 0.985))
    find()
    before = PossibleDuplicate.objects.get()
    better = make_face(other, near(vector(1), 0.999))
    find()
    after = PossibleDuplicate.objects.get()
    assert after.pk == before.pk and after.face_b == better
    assert after.confidence > before.confidence


def test_different_people_are_never_listed_again(owner: Person, fake: FakePipeline) -> None:
    """Other faces of theirs change nothing."""
    make_face(make_user(OWNER), vector(1)), make_face(make_user(FRIEND), vector(1))
    find()
    decide("different_people")
    fake.show(vector(3))
    make_face(User.objects.get(pk=FRIEND), vector(3))
    data_of(owner.post("register", user_id=OWNER, image=PICTURE_BASE64), 201)
    find()
    row = PossibleDuplicate.objects.get()
    assert (row.state, row.decided_by) == ("different_people", MODERATOR) and row.decided_at
    # All faces of the decision are gone.
    Face.objects.exclude(pk__in=Template.objects.order_by("-pk").values("face")[:2]).delete()
    find()
    assert pairs(state="different_people") == {(OWNER, FRIEND)}
    assert not pairs(state="open")


def test_what_is_open_goes_with_a_face(fake: FakePipeline) -> None:
    make_face(make_user(OWNER), vector(1)), make_face(make_user(FRIEND), vector(1))
    find()
    Face.objects.get(user=FRIEND).delete()
    assert not PossibleDuplicate.objects.exists()


@pytest.mark.parametrize("user_id", [OWNER, FRIEND])
def test_a_decision_goes_with_either_user(fake: FakePipeline, user_id: UUID) -> None:
    make_face(make_user(OWNER), vector(1)), make_face(make_user(FRIEND), vector(1))
    find()
    decide("different_people")
    User.objects.get(pk=user_id).delete()
    assert not PossibleDuplicate.objects.exists()


def test_a_moved_face_takes_its_match_along(fake: FakePipeline) -> None:
    face = make_face(make_user(OWNER), vector(1))
    make_face(make_user(FRIEND), vector(1)), make_user(STRANGER)
    find()
    moderation.move_face(actor=MODERATOR, face_id=face.face_id, user_id=STRANGER)
    row = PossibleDuplicate.objects.get()
    assert (row.user_a_id, row.user_b_id, row.face_b_id) == (FRIEND, STRANGER, face.pk)
    moderation.move_face(actor=MODERATOR, face_id=face.face_id, user_id=FRIEND)
    assert not PossibleDuplicate.objects.exists()


def test_a_decision_does_not_show_a_moved_face(fake: FakePipeline) -> None:
    face = make_face(make_user(OWNER), vector(1))
    make_face(make_user(FRIEND), vector(1)), make_user(STRANGER)
    find()
    decide("different_people")
    moderation.move_face(actor=MODERATOR, face_id=face.face_id, user_id=STRANGER)
    row = PossibleDuplicate.objects.get()
    assert (row.user_a_id, row.user_b_id, row.face_a) == (OWNER, FRIEND, None)


def test_a_merge_takes_decisions_along(fake: FakePipeline) -> None:
    """Who is not the one is not the other either."""
    for user_id in (OWNER, FRIEND, STRANGER):
        make_face(make_user(user_id), vector(1))
    find()
    assert len(pairs(state="open")) == 3
    row = PossibleDuplicate.objects.get(user_a=OWNER, user_b=STRANGER)
    keep = {"duplicate_id": row.pk, "decision": "different_people"}
    moderation.decide(actor=MODERATOR, **keep)
    moderation.merge_users(actor=MODERATOR, user_id=OWNER, into=FRIEND)
    assert pairs(state="same_person") == {(FRIEND, None)}
    assert pairs(state="different_people") == {(FRIEND, STRANGER)}
    assert not pairs(state="open")


# --- the search for all ---------------------------------------------------------------------------


def test_a_search_that_is_broken_off_goes_on(
    fake: FakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookalikes, "_AT_ONCE", 2)
    for number in range(7):
        make_face(make_user(UUID(int=number + 1)), vector(number))
    seen: list[int] = []
    matches = comparing_all.find

    def broken(others: Any, template: Any) -> Any:
        if len(seen) == 3:
            raise KeyboardInterrupt
        seen.append(int(template.argmax()))
        return matches(others, template)

    monkeypatch.setattr(comparing_all, "find", broken)
    with pytest.raises(KeyboardInterrupt):
        find()
    assert seen == [0, 1, 2]
    seen[:] = [-1] * 4  # no longer broken
    find()
    # What was not committed is searched for once more, and nothing else.
    assert seen[4:] == [2, 3, 4, 5, 6]
    assert DuplicateSearch.objects.get().finished_at


def test_the_next_search_is_for_all(fake: FakePipeline) -> None:
    make_face(make_user(OWNER), vector(1)), make_face(make_user(FRIEND), vector(1))
    find()
    PossibleDuplicate.objects.all().delete()
    find()
    assert PossibleDuplicate.objects.exists()


def test_one_of_another_model_begins_again(fake: FakePipeline) -> None:
    make_face(make_user(OWNER), vector(1)), make_face(make_user(FRIEND), vector(1))
    find()
    DuplicateSearch.objects.update(
        embedding_version="other_v1", last_template=10**9, finished_at=None
    )
    PossibleDuplicate.objects.all().delete()
    find()
    assert PossibleDuplicate.objects.exists()


# --- several at once ------------------------------------------------------------------------------


def at_once(*functions: Any) -> list[Any]:
    barrier = Barrier(len(functions))

    def run(function: Any) -> Any:
        barrier.wait(60)
        try:
            return function()
        except ServiceError as error:
            return error.code
        finally:
            connection.close()

    with ThreadPoolExecutor(len(functions)) as threads:
        return [done.result(120) for done in [threads.submit(run, f) for f in functions]]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("other", ["same_person", "different_people"])
def test_two_moderators_decide_at_once(fake: FakePipeline, other: str) -> None:
    make_face(make_user(OWNER), vector(1)), make_face(make_user(FRIEND), vector(1))
    find()
    number = PossibleDuplicate.objects.get().pk

    def deciding(decision: str) -> Any:
        ask = {"actor": MODERATOR, "duplicate_id": number, "decision": decision}
        return lambda: moderation.decide(**ask).state

    told = at_once(deciding("same_person"), deciding(other))
    assert sorted(told).count("already_decided") == 1
    row = PossibleDuplicate.objects.get()
    assert row.state in told
    assert MergedUser.objects.count() == (row.state == "same_person")
    assert AuditEvent.objects.exclude(action="user.create").count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_users_are_merged_both_ways_at_once() -> None:
    for number, user_id in enumerate((OWNER, FRIEND)):
        make_face(make_user(user_id), vector(number))

    def merging(user_id: UUID, into: UUID) -> Any:
        ask = {"actor": MODERATOR, "user_id": user_id, "into": into}
        return lambda: str(moderation.merge_users(**ask).pk)

    told = at_once(merging(OWNER, FRIEND), merging(FRIEND, OWNER))
    assert told.count("user_merged") == 1
    assert Face.objects.filter(user=User.objects.get()).count() == 2
    assert MergedUser.objects.get().into == User.objects.get()


@pytest.mark.django_db(transaction=True)
def test_an_erasure_and_a_merge_at_once() -> None:
    """Nothing is left of who is erased: if the merge came first, of both."""
    for _ in range(5):
        make_face(make_user(OWNER), vector(1)), make_face(make_user(FRIEND), vector(2))
        merge = {"actor": MODERATOR, "user_id": OWNER, "into": FRIEND}
        removed, merged = at_once(
            lambda: erasure.erase(actor=MODERATOR, user_id=FRIEND).removed["faces"],
            lambda merge=merge: moderation.merge_users(**merge) and "merged",
        )
        assert (removed, merged) in {(1, "user_not_found"), (2, "merged")}
        assert Face.objects.count() == User.objects.count() == (merged != "merged")
        assert MergedUser.objects.count() == (merged == "merged")
        User.objects.all().delete()
        MergedUser.objects.all().delete()


@pytest.mark.django_db(transaction=True)
def test_a_registration_and_a_merge_at_once(service: Person, fake: FakePipeline) -> None:
    """Whichever comes first: no user is there twice, and no face is lost."""
    fake.show(vector(5))
    for _ in range(5):
        with transaction.atomic():
            make_face(make_user(OWNER), vector(1)), make_face(make_user(FRIEND), vector(2))
        merge = {"actor": MODERATOR, "user_id": OWNER, "into": FRIEND}
        fields = {"user_id": OWNER, "image": PICTURE_BASE64}
        status, _ = at_once(
            lambda fields=fields: service.post("register", **fields).status_code,
            lambda merge=merge: moderation.merge_users(**merge),
        )
        assert status in {201, 404}
        assert User.objects.get().pk == FRIEND
        assert Face.objects.filter(user=FRIEND).count() == 2 + (status == 201)
        User.objects.all().delete()
        MergedUser.objects.all().delete()
