"""Sessions, attempts and failures for the moderators: to look at, and to unlock. No hashes."""

from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from recognition import lockout
from recognition.admin_kit import ReadOnly, actor_of
from recognition.models import Attempt, FailureCount, Session


@admin.register(Session)
class SessionAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["id", "user_id", "purpose", "level", "shown_state", "client", "created_at"]
    list_filter = ["purpose", "state", "level"]
    search_fields = ["id", "user__id", "client"]
    exclude = ["window", "device"]


@admin.register(Attempt)
class AttemptAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["at", "user_id", "source", "result", "risk_level", "factors", "device_start"]
    list_filter = ["result", "risk_level"]
    search_fields = ["user__id", "source"]
    exclude = ["picture_hash", "pixels_hash", "device"]

    @admin.display(description="device")
    def device_start(self, attempt: Attempt) -> str:
        return attempt.device[:8]


@admin.register(FailureCount)
class FailureCountAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["user_id", "shown_source", "failures", "blocked_until", "locked_at"]
    list_filter = [("locked_at", admin.EmptyFieldListFilter)]
    search_fields = ["user__id", "source"]
    exclude = ["source"]
    readonly_fields = ["shown_source"]
    actions = ["unlock"]

    @admin.display(description="source", ordering="source")
    def shown_source(self, count: FailureCount) -> str:
        return count.shown_source

    @admin.action(description="Unlock: forget the selected failures", permissions=["unlock"])
    def unlock(self, request: HttpRequest, queryset: QuerySet[FailureCount]) -> None:
        selected: dict[UUID, list[str]] = {}
        for user_id, source in queryset.order_by("user_id").values_list("user_id", "source"):
            selected.setdefault(user_id, []).append(source)
        unlocked = [
            lockout.unlock(user_id, actor=actor_of(request), sources=sources)
            for user_id, sources in selected.items()
        ]
        self.message_user(request, f"{sum(unlocked)} counts of failures are forgotten.")

    def has_unlock_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("recognition.change_failurecount")
