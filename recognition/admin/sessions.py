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
    ReadOnly,
    actor_of,
    link,
    note_about_person,
    one_of,
    spaced,
    when,
)
from recognition.models import Attempt, FailureCount, Session, User
from recognition.packs.thresholds import LEVELS
from recognition.verification import lockout

# Results of an attempt, as `verify` answers.
_RESULTS = ("success", "no_match", "no_face_detected", "no_registered_faces", "rejected")
_ACTOR = re.compile(r"own|(user|service|command|operator):.*")


class OfAPerson(LargeTable, ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows that each belong to a person; a link names the person."""

    list_select_related = ["user"]
    search_fields = ["user__display_name"]
    search_help_text = "A name or a part of it, an id, a face id; or who asked, as service:app."
    asked_by: str  # the column that says so
    actions: Any = None

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        text = search_term.strip()
        if _ACTOR.fullmatch(text):
            return queryset.filter(**{f"{self.asked_by}__startswith": text}), False
        if text:
            queryset = queryset.filter(user__in=finding.people(User.objects.all(), text))
        return queryset, False

    def person(self, row: Any) -> str:
        return link(row.user)


@admin.register(Session)
class SessionAdmin(OfAPerson):
    list_display = ["opened", "person", "purpose", "level", "shown_state", "client", "ends"]
    list_filter = ["purpose", "state", one_of("level", LEVELS)]
    asked_by = "client"
    # Uses the index of the purge.
    ordering = ["-expires_at", "-pk"]
    fields = ["id", "person", "purpose", "level", "shown_state", "client", "opened", "ends"]
    fields += ["ended_at", "verified_at", "shown_risk", "frames", "last_frame_at"]
    readonly_fields = ["id", "person", "shown_state", "opened", "ends", "shown_risk"]

    @admin.display(description="opened")
    def opened(self, session: Session) -> str:
        return when(session.created_at)

    @admin.display(description="ends")
    def ends(self, session: Session) -> str:
        return when(session.ended_at or session.expires_at)

    @admin.display(description="state")
    def shown_state(self, session: Session) -> str:
        return session.shown_state

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
    readonly_fields = ["when", "person", "shown_face", "shown_result", "risk", "spoofing"]
    readonly_fields += ["generated", "device_start"]

    def when(self, attempt: Attempt) -> str:
        return when(attempt.at)

    @admin.display(description="result")
    def shown_result(self, attempt: Attempt) -> str:
        return spaced(attempt.result)

    def risk(self, attempt: Attempt) -> str:
        return in_words(attempt.risk_level, attempt.factors)

    @admin.display(description="matching face")
    def shown_face(self, attempt: Attempt) -> str:
        return link(attempt.face)

    @admin.display(description="anti-spoofing")
    def spoofing(self, attempt: Attempt) -> str:
        return _check(attempt.antispoofing)

    @admin.display(description="deepfake")
    def generated(self, attempt: Attempt) -> str:
        return _check(attempt.deepfake)

    @admin.display(description="device")
    def device_start(self, attempt: Attempt) -> str:
        return attempt.device[:8]


def in_words(level: str, factors: list[str]) -> str:
    """A risk and its reasons in words."""
    named = ", ".join(map(spaced, factors))
    return f"{level}: {named}" if named else level or "–"


def _check(outcome: dict[str, Any]) -> str:
    """What a check of the picture found, such as `passed, score 0.97`."""
    parts = [str(outcome.get("state", "not asked"))]
    parts += [f"score {outcome['score']:.2f}"] if outcome.get("score") is not None else []
    return ", ".join(parts)


class LockedCountFilter(admin.SimpleListFilter):
    title, parameter_name = "state", "locked"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Locked"), ("no", "Not locked")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in ("yes", "no"):
            return queryset
        return queryset.filter(locked_at__isnull=self.value() == "no")


@admin.register(FailureCount)
class FailureCountAdmin(OfAPerson):
    list_display = ["person", "shown_source", "failures", "state", "last"]
    list_display_links = ["shown_source"]
    list_filter = [LockedCountFilter]
    asked_by = "source"
    ordering = ["-pk"]
    fields = ["person", "shown_source", "failures", "state", "last"]
    readonly_fields = ["person", "shown_source", "state", "last"]
    actions = ["unlock"]

    @admin.display(description="from")
    def shown_source(self, count: FailureCount) -> str:
        return count.shown_source

    def state(self, count: FailureCount) -> str:
        if count.locked_at:
            return f"Locked since {when(count.locked_at)}"
        return f"Has to wait until {when(count.blocked_until)}" if count.blocked_until else "–"

    @admin.display(description="last one")
    def last(self, count: FailureCount) -> str:
        return when(count.last_failure_at)

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
