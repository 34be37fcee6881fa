"""Sessions, attempts and failures: moderators can view and unlock. Shows no hashes."""

import re
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from recognition.admin import finding
from recognition.admin.filters import ByChoice, is_set, one_of
from recognition.admin.kit import (
    MODERATE,
    LargeTable,
    actor_of,
    column,
    link,
    note_about_person,
    spaced,
    time_column,
    when,
)
from recognition.models import Attempt, FailureCount, Session, User
from recognition.packs.scores import LEVELS
from recognition.verification import lockout

# Results of an attempt, as `verify` answers.
_RESULTS = ("success", "no_match", "no_face_detected", "no_registered_faces", "rejected")
_ACTOR = re.compile(r"own|(user|service|command|operator):.*")


class OfAPerson(LargeTable):
    """Rows that each belong to a person; a link names the person."""

    list_select_related = ["user"]
    search_fields = ["user__display_name"]
    search_help_text = _lazy(
        "A name or a part of it, an id, a face id; or who asked, as service:app."
    )
    asked_by: str  # the column that says so

    def find(self, rows: QuerySet[Any], text: str) -> QuerySet[Any]:
        if _ACTOR.fullmatch(text):
            return rows.filter(**{f"{self.asked_by}__startswith": text})
        return rows.filter(user__in=finding.people(User.objects.all(), text))

    person = column(_lazy("person"), lambda row: link(row.user))


@admin.register(Session)
class SessionAdmin(OfAPerson):
    list_display = ["opened", "person", "shown_purpose", "shown_level", "shown_state", "client"]
    list_display += ["ends"]
    list_filter = [("purpose", ByChoice), ("state", ByChoice), one_of("level", LEVELS)]
    asked_by = "client"
    # Uses the index of the purge.
    ordering = ["-expires_at", "-pk"]
    fields = [
        "id",
        "person",
        "shown_purpose",
        "shown_level",
        "shown_state",
        "client",
        "opened",
        "ends",
    ]
    fields += ["ended_at", "verified_at", "shown_risk", "frames", "last_frame_at"]

    opened = time_column(_lazy("opened"), "created_at")
    ends = column(_lazy("ends"), lambda session: when(session.ended_at or session.expires_at))
    shown_purpose = column(_lazy("purpose"), lambda session: spaced(session.purpose))
    shown_level = column(_lazy("level"), lambda session: spaced(session.level))
    shown_state = column(_lazy("state"), lambda session: spaced(session.shown_state))

    @admin.display(description=_lazy("risk"))
    def shown_risk(self, session: Session) -> str:
        return in_words(session.risk.get("risk_level", ""), session.risk.get("factors", []))


@admin.register(Attempt)
class AttemptAdmin(OfAPerson):
    list_display = ["when", "person", "source", "shown_result", "risk", "device_start"]
    list_filter = [one_of("result", _RESULTS), one_of("risk_level", ("low", "medium", "high"))]
    asked_by = "source"
    ordering = ["-at", "-pk"]
    fields = ["when", "person", "shown_face", "source", "shown_result", "confidence", "risk"]
    fields += ["spoofing", "generated", "session", "device_start"]

    when = time_column(_lazy("when"), "at")
    shown_result = column(_lazy("result"), lambda attempt: spaced(attempt.result))
    risk = column(_lazy("risk"), lambda attempt: in_words(attempt.risk_level, attempt.factors))
    shown_face = column(_lazy("matching face"), lambda attempt: link(attempt.face))
    spoofing = column(_lazy("anti-spoofing"), lambda attempt: _check(attempt.antispoofing))
    generated = column(_lazy("deepfake"), lambda attempt: _check(attempt.deepfake))
    device_start = column(_lazy("device"), lambda attempt: attempt.device[:8])


def in_words(level: str, factors: list[str]) -> str:
    """A risk and its reasons in words."""
    named = ", ".join(map(spaced, factors))
    return f"{spaced(level)}: {named}" if named else spaced(level) or "–"


def _check(outcome: dict[str, Any]) -> str:
    """What a check of the picture found, such as `passed, score 0.97`."""
    parts = [spaced(str(outcome.get("state", "not_asked")))]
    score = outcome.get("score")
    parts += [_("score {score:.2f}").format(score=score)] if score is not None else []
    return ", ".join(parts)


@admin.register(FailureCount)
class FailureCountAdmin(OfAPerson):
    list_display = ["person", "shown_source", "failures", "state", "last"]
    list_display_links = ["shown_source"]
    list_filter = [
        is_set(_lazy("state"), "locked", "locked_at", _lazy("Locked"), _lazy("Not locked"))
    ]
    asked_by = "source"
    ordering = ["-pk"]
    fields = [*list_display]
    actions = ["unlock"]

    shown_source = column(_lazy("from"), lambda count: count.shown_source)
    last = time_column(_lazy("last one"), "last_failure_at")

    @admin.display(description=_lazy("state"))
    def state(self, count: FailureCount) -> str:
        if count.locked_at:
            return _("Locked since {time}").format(time=when(count.locked_at))
        if count.blocked_until:
            return _("Has to wait until {time}").format(time=when(count.blocked_until))
        return "–"

    @admin.action(description=_lazy("Unlock: forget the selected failures"), permissions=["unlock"])
    def unlock(self, request: HttpRequest, queryset: QuerySet[FailureCount]) -> None:
        selected: dict[UUID, list[str]] = {}
        for user_id, source in queryset.order_by("user_id").values_list("user_id", "source"):
            selected.setdefault(user_id, []).append(source)
        unlocked = [
            lockout.unlock(user_id, actor=actor_of(request), sources=sources)
            for user_id, sources in selected.items()
        ]
        for user_id in selected:
            note_about_person(request, user_id, _("Unlocked"))
        said = _("Counts of failures that are forgotten: {count}.")
        self.message_user(request, said.format(count=sum(unlocked)))

    def has_unlock_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perms([MODERATE, "recognition.view_failurecount"])
