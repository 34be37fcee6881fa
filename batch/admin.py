"""Jobs and callbacks for the operators: to look at, and to send again. No secret, no picture."""

from typing import Any

# Registers its models, of which a schedule could call any function there is.
import django_q.admin  # noqa: F401
from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django_q.models import Failure, OrmQ, Schedule, Success

from batch import answers, webhooks
from batch.models import (
    Job,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    without_query,
)
from recognition.admin_kit import ReadOnly, actor_of

_DELIVERY = ["message_id", "job", "address", "state", "tries", "all_tries"]
_TIMES = ["created_at", "finished_at"]
_COUNTS = ["total", "succeeded", "failed", "waiting", "skipped"]

for _model in (Failure, OrmQ, Schedule, Success):
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)


@admin.register(Job)
class JobAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["job_id", "kind", "status", "subject", *_COUNTS, "callback", *_TIMES]
    list_filter = ["status", "kind"]
    list_select_related = ["delivery"]
    search_fields = ["job_id", "subject"]
    exclude = ["options", "callback_url"]
    readonly_fields = [*_COUNTS[1:], "callback", "callback_address"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        return Job.objects.with_counts()

    def succeeded(self, job: Any) -> int:
        return int(job.succeeded)

    def failed(self, job: Any) -> int:
        return int(job.failed)

    def waiting(self, job: Any) -> int:
        return 0 if job.finished_at else int(job.total - job.succeeded - job.failed)

    def skipped(self, job: Any) -> int:
        return answers.skipped(job)

    def callback(self, job: Job) -> str:
        """What has become of it."""
        return job.delivery.state if hasattr(job, "delivery") else "-"

    def callback_address(self, job: Job) -> str:
        return without_query(job.callback_url)


class AttemptInline(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]
    model = WebhookAttempt
    ordering = ["pk"]


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = [*_DELIVERY, "next_attempt_at"]
    list_filter = ["state"]
    list_select_related = ["job", "endpoint"]
    search_fields = ["message_id", "job__job_id"]
    inlines = [AttemptInline]
    actions = ["replay"]

    @admin.display(description="endpoint")
    def address(self, delivery: WebhookDelivery) -> str:
        return delivery.endpoint.address

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookDelivery]:
        return WebhookDelivery.objects.annotate(all_tries=Count("attempts"))

    def all_tries(self, delivery: Any) -> int:
        """Also those before a replay, which begins to count anew."""
        return int(delivery.all_tries)

    @admin.action(description="Send again", permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]) -> None:
        count = webhooks.replay(queryset, actor=actor_of(request))
        self.message_user(request, f"{count} callbacks are queued again.")

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("batch.change_webhookdelivery")


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["address", "client", "disabled_at"]
    list_filter = [("disabled_at", admin.EmptyFieldListFilter)]
    search_fields = ["client", "url"]
    fields = ["client", "address", "disabled_at"]
    readonly_fields = ["address"]
    actions = ["enable"]

    @admin.action(description="Enable again after 410", permissions=["replay"])
    def enable(self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint]) -> None:
        count = webhooks.enable(queryset, actor=actor_of(request))
        self.message_user(request, f"{count} callbacks are queued again.")

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("batch.change_webhookdelivery")
