"""Sessions, attempts and failures: moderators can view and unlock. Shows no hashes."""

import re
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from recognition.admin import finding
from recognition.admin.kit import (
    MODERATE,
    LargeTable,
    actor_of,
    column,
    is_set,
    link,
    note_about_person,
    one_of,
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
    search_help_text = "A name or a part of it, an id, a face id; or who asked, as service:app."
    asked_by: str  # the column that says so

    def find(self, rows: QuerySet[Any], text: str) -> QuerySet[Any]:
        if _ACTOR.fullmatch(text):
            return rows.filter(**{f"{self.asked_by}__startswith": text})
        return rows.filter(user__in=finding.people(User.objects.all(), text))

    person = column("person", lambda row: link(row.user))


@admin.register(Session)
class SessionAdmin(OfAPerson):
    list_display = ["opened", "person", "purpose", "level", "shown_state", "client", "ends"]
    list_filter = ["purpose", "state", one_of("level", LEVELS)]
    asked_by = "client"
    # Uses the index of the purge.
    ordering = ["-expires_at", "-pk"]
    fields = ["id", "person", "purpose", "level", "shown_state", "client", "opened", "ends"]
    fields += ["ended_at", "verified_at", "shown_risk", "frames", "last_frame_at"]

    opened = time_column("opened", "created_at")
    ends = column("ends", lambda session: when(session.ended_at or session.expires_at))
    shown_state = column("state", lambda session: session.shown_state)

    @admin.display(description="risk")
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

    when = time_column("when", "at")
    shown_result = column("result", lambda attempt: spaced(attempt.result))
    risk = column("risk", lambda attempt: in_words(attempt.risk_level, attempt.factors))
    shown_face = column("matching face", lambda attempt: link(attempt.face))
    spoofing = column("anti-spoofing", lambda attempt: _check(attempt.antispoofing))
    generated = column("deepfake", lambda attempt: _check(attempt.deepfake))
    device_start = column("device", lambda attempt: attempt.device[:8])


def in_words(level: str, factors: list[str]) -> str:
    """A risk and its reasons in words."""
    named = ", ".join(map(spaced, factors))
    return f"{level}: {named}" if named else level or "–"


def _check(outcome: dict[str, Any]) -> str:
    """What a check of the picture found, such as `passed, score 0.97`."""
    parts = [str(outcome.get("state", "not asked"))]
    parts += [f"score {outcome['score']:.2f}"] if outcome.get("score") is not None else []
    return ", ".join(parts)


@admin.register(FailureCount)
class FailureCountAdmin(OfAPerson):
    list_display = ["person", "shown_source", "failures", "state", "last"]
    list_display_links = ["shown_source"]
    list_filter = [is_set("state", "locked", "locked_at", "Locked", "Not locked")]
    asked_by = "source"
    ordering = ["-pk"]
    fields = [*list_display]
    actions = ["unlock"]

    shown_source = column("from", lambda count: count.shown_source)
    last = time_column("last one", "last_failure_at")

    def state(self, count: FailureCount) -> str:
        if count.locked_at:
            return f"Locked since {when(count.locked_at)}"
        return f"Has to wait until {when(count.blocked_until)}" if count.blocked_until else "–"

    @admin.action(description="Unlock: forget the selected failures", permissions=["unlock"])
    def unlock(self, request: HttpRequest, queryset: QuerySet[FailureCount]) -> None:
        selected: dict[UUID, list[str]] = {}
        for user_id, source in queryset.order_by("user_id").values_list("user_id", "source"):
            selected.setdefault(user_id, []).append(source)
        unlocked = [
            lockout.unlock(user_id, actor=actor_of(request), sources=sources)
            for user_id, sources in selected.items()
        ]
        for user_id in selected:
            note_about_person(request, user_id, "Unlocked")
        self.message_user(request, f"{sum(unlocked)} counts of failures are forgotten.")

    def has_unlock_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perms([MODERATE, "recognition.view_failurecount"])
