"""Callbacks and their addresses: operators can view them and send them again. Shows no secret."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from batch.admin.rows import Part, Rows
from batch.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from batch.webhooks import callbacks
from recognition.admin.kit import actor_of, link, note_in_history, when

STATES = {
    "pending": "waits for its next try",
    "delivered": "delivered",
    "dead": "given up after the last try",
    "stopped": "stopped: the receiver answered 410 Gone",
}


class TriesOfDelivery(Part):
    model = WebhookAttempt
    verbose_name_plural = "Tries"
    fields = ["tried", "outcome", "took"]
    readonly_fields = ["tried", "outcome", "took"]
    ordering = ["pk"]

    def tried(self, attempt: WebhookAttempt) -> str:
        return when(attempt.at)

    def outcome(self, attempt: WebhookAttempt) -> str:
        return _outcome(attempt)

    def took(self, attempt: WebhookAttempt) -> str:
        return f"{attempt.duration_ms / 1000:.2f} s"


def _outcome(attempt: WebhookAttempt) -> str:
    return f"status {attempt.status}" if attempt.status else attempt.error or "no answer"


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(Rows):
    list_display = ["message_id", "of_job", "address", "shown_state", "shown_tries", "next_try"]
    list_filter = ["state"]
    list_select_related = ["job", "endpoint"]
    search_fields = ["message_id__startswith", "job__job_id__startswith"]
    search_help_text = "The beginning of the id of a message or a job."
    readonly_fields = ["message_id", "of_job", "address", "shown_state", "shown_tries"]
    readonly_fields += ["next_try", "made"]
    fields = [*readonly_fields]
    inlines = [TriesOfDelivery]
    actions = ["replay"]

    def button(self, row: WebhookDelivery) -> str:
        return "Send again"

    def prepare(self, rows: list[WebhookDelivery]) -> None:
        tries: dict[int, list[WebhookAttempt]] = {row.pk: [] for row in rows}
        for attempt in WebhookAttempt.objects.filter(delivery__in=list(tries)).order_by("pk"):
            tries[attempt.delivery_id].append(attempt)
        for row in rows:
            row.all_tries = tries[row.pk]  # type: ignore[attr-defined]

    def get_object(self, *args: Any, **options: Any) -> Any:
        delivery = super().get_object(*args, **options)
        if delivery is not None:
            self.prepare([delivery])
        return delivery

    @admin.display(description="job")
    def of_job(self, delivery: WebhookDelivery) -> str:
        return link(delivery.job)

    def address(self, delivery: WebhookDelivery) -> str:
        return link(delivery.endpoint)

    @admin.display(description="state")
    def shown_state(self, delivery: WebhookDelivery) -> str:
        return STATES[delivery.state]

    @admin.display(description="tries")
    def shown_tries(self, delivery: Any) -> str:
        """All tries, including those before a replay, which starts the count again."""
        if not delivery.all_tries:
            return "none yet"
        return f"{len(delivery.all_tries)}, the last one: {_outcome(delivery.all_tries[-1])}"

    @admin.display(description="next try")
    def next_try(self, delivery: WebhookDelivery) -> str:
        return when(delivery.next_attempt_at)

    @admin.display(description="made")
    def made(self, delivery: WebhookDelivery) -> str:
        return when(delivery.created_at)

    @admin.action(description="Send the selected callbacks again", permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]) -> None:
        rows = list(queryset)
        count = callbacks.replay(queryset, actor=actor_of(request))
        note_in_history(request, rows, "Sent again")
        self.message_user(request, f"Callbacks that are sent again: {count}.")

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("batch.change_webhookdelivery")


class DisabledFilter(admin.SimpleListFilter):
    title, parameter_name = "state", "disabled"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("no", "Gets callbacks"), ("yes", "Disabled")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in ("no", "yes"):
            return queryset
        return queryset.filter(disabled_at__isnull=self.value() == "no")


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(Rows):
    list_display = ["address", "client", "state"]
    list_filter = [DisabledFilter]
    search_fields = ["client", "url"]
    search_help_text = "A part of the address, or the name of the app."
    fields = ["client", "address", "state"]
    readonly_fields = ["client", "address", "state"]
    actions = ["enable"]

    def button(self, row: WebhookEndpoint) -> str:
        return "Enable again" if row.disabled_at else ""

    def state(self, endpoint: WebhookEndpoint) -> str:
        if endpoint.disabled_at is None:
            return "gets callbacks"
        return f"disabled since {when(endpoint.disabled_at)}: it answered 410 Gone"

    @admin.action(description="Enable the selected addresses again", permissions=["replay"])
    def enable(self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint]) -> None:
        rows = list(queryset.exclude(disabled_at=None))
        count = callbacks.enable(queryset, actor=actor_of(request))
        note_in_history(request, rows, "Enabled again")
        self.message_user(
            request, f"Addresses enabled again: {len(rows)}. Callbacks sent again: {count}."
        )

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("batch.change_webhookdelivery")
