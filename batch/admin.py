"""Jobs and callbacks for the operators: to look at, and to send again. No secret, no picture."""

# Registers its models, of which a schedule could call any function there is.
import django_q.admin  # noqa: F401
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django_q.models import Failure, OrmQ, Schedule, Success

from batch import webhooks
from batch.models import Job, WebhookAttempt, WebhookDelivery
from recognition.admin import ReadOnly

for _model in (Failure, OrmQ, Schedule, Success):
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)


@admin.register(Job)
class JobAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["job_id", "kind", "status", "subject", "total", "created_at", "finished_at"]
    list_filter = ["status", "kind"]
    search_fields = ["job_id", "subject"]
    exclude = ["options"]


class AttemptInline(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]
    model = WebhookAttempt
    ordering = ["pk"]


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["message_id", "job", "address", "state", "tries", "next_attempt_at"]
    list_filter = ["state"]
    list_select_related = ["job", "endpoint"]
    search_fields = ["message_id", "job__job_id"]
    inlines = [AttemptInline]
    actions = ["replay"]

    @admin.display(description="endpoint")
    def address(self, delivery: WebhookDelivery) -> str:
        """Without its query, in which some apps have a secret."""
        return delivery.endpoint.url.partition("?")[0]

    @admin.action(description="Send again", permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]) -> None:
        count = webhooks.replay(queryset, actor=f"operator:{request.user.get_username()}"[:110])
        self.message_user(request, f"{count} callbacks are queued again.")

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("batch.change_webhookdelivery")
