"""Users who may be one person, who were found to be one, and how far the search for them is."""

from typing import NamedTuple
from uuid import UUID

from django.db import models
from django.db.models import CASCADE, SET_NULL, F, Q
from django.utils import timezone

from recognition.models import user_ids
from recognition.models.people import Face, User
from recognition.models.user_ids import UserId

MANY_ATTEMPTS = 3  # so many of the search for a new face point to a fault


class DuplicateState(models.TextChoices):
    OPEN = "open"
    SAME_PERSON = "same_person"
    DIFFERENT_PEOPLE = "different_people"


class Side(NamedTuple):
    user_id: UserId
    face: Face | None  # None: it is gone

    @property
    def face_id(self) -> str | None:
        return self.face.face_id if self.face else None


class PossibleDuplicate(models.Model):
    """Two users with a face each that strictly match; there is one row for a pair, whatever its
    faces. `user_a` has the smaller id. After `same_person` the two are merged, and `user_a` is the
    one who stays.
    """

    user_a = models.ForeignKey(User, on_delete=CASCADE, related_name="+", db_index=False)
    user_b = models.ForeignKey(User, on_delete=CASCADE, related_name="+", null=True)
    # An open row goes with either face: see recognition.enrolment.lookalikes. A decision stays.
    face_a = models.ForeignKey(Face, on_delete=SET_NULL, related_name="+", null=True)
    face_b = models.ForeignKey(Face, on_delete=SET_NULL, related_name="+", null=True)
    confidence = models.FloatField()  # of the match, from 0 to 1
    state = models.CharField(max_length=16, choices=DuplicateState, default=DuplicateState.OPEN)
    found_at = models.DateTimeField(auto_now_add=True)
    decided_by = models.CharField(max_length=110, blank=True)  # an actor: see recognition.audit
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            # Consumers also: the upsert of a pair, the merge and erasure of `user_a`.
            models.UniqueConstraint(fields=["user_a", "user_b"], name="duplicate_once"),
            models.CheckConstraint(
                condition=Q(state="same_person", user_b=None)
                | Q(state__in=("open", "different_people"), user_a__lt=F("user_b")),
                name="duplicate_of_two",
            ),
            models.CheckConstraint(
                condition=Q(state="open", decided_at=None)
                | (~Q(state="open") & Q(decided_at__isnull=False)),
                name="duplicate_decided_once",
            ),
        ]
        indexes = [
            # Consumer: the list of those in one state, newest first.
            models.Index(fields=["state", "id"], name="duplicate_by_state")
        ]

    def __str__(self) -> str:
        return f"{self.user_a_id} and {self.user_b_id or 'a merged user'}"

    @property
    def users(self) -> tuple[UUID, ...]:
        """Both, or the one who is left."""
        return tuple(user for user in (self.user_a_id, self.user_b_id) if user)

    @property
    def sides(self) -> list[Side]:
        """Both faces. Once the two are merged, both are of the user who is left.

        Needs the users.
        """
        other = self.user_b or self.user_a
        return [Side(self.user_a.user_id, self.face_a), Side(other.user_id, self.face_b)]

    def other_than(self, user_id: UUID) -> UUID | None:
        return self.user_b_id if self.user_a_id == user_id else self.user_a_id

    def put_user(self, was: UUID, now: UUID) -> None:
        """In place of one of the two, with the same face; not saved."""
        sides = [(self.user_a_id, self.face_a_id), (self.user_b_id, self.face_b_id)]
        new = sorted((now if user == was else user, face) for user, face in sides if user)
        (self.user_a_id, self.face_a_id), (self.user_b_id, self.face_b_id) = new

    def forget_face_of(self, user_id: UUID) -> None:
        """Which is no longer theirs; not saved."""
        if self.user_a_id == user_id:
            self.face_a = None
        else:
            self.face_b = None


class MergedUser(models.Model):
    """The id of a user who was merged into another: no user can be made under it again.

    It outlives the user who stayed, who may be erased.
    """

    id = models.UUIDField(primary_key=True)
    # The app's id, as User has it, until the person is erased.
    given_id = models.CharField(max_length=user_ids.MAX_LENGTH, null=True)  # noqa: DJ001
    into = models.ForeignKey(User, on_delete=SET_NULL, related_name="former_ids", null=True)
    at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return str(self.id)


class NewFaceQuerySet(models.QuerySet["NewFace"]):
    def due(self) -> "NewFaceQuerySet":
        return self.filter(Q(next_attempt_at=None) | Q(next_attempt_at__lte=timezone.now()))

    def failing(self) -> "NewFaceQuerySet":
        return self.filter(attempts__gte=MANY_ATTEMPTS)


class NewFace(models.Model):
    """A face whose look-alikes a worker has not searched yet. Its enrolment stores this row.

    Each attempt says when the next one may be, before it begins: one that fails, or kills its
    worker, holds up no other face.
    """

    face = models.OneToOneField(Face, on_delete=CASCADE, primary_key=True, related_name="+")
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True)

    objects = NewFaceQuerySet.as_manager()

    def __str__(self) -> str:
        return str(self.face)


class DuplicateSearch(models.Model):
    """The one row that says how far `manage.py find_duplicates` is."""

    id = models.SmallIntegerField(primary_key=True, default=1, editable=False)
    embedding_version = models.CharField(max_length=60)
    last_template = models.BigIntegerField(default=0)  # all up to this one are searched for
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(id=1), name="duplicatesearch_has_one_row")
        ]

    def __str__(self) -> str:
        return self.embedding_version
