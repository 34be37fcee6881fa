"""Jobs and callbacks for operators, who can view and cancel jobs, and send callbacks again.

The pages show no picture, no result and no secret: only the caller of a search may know who was
found.
"""

from collections import Counter
from typing import Any

# This import registers the models of django-q2. With one of them, a schedule, an operator could
# call any function.
import django_q.admin  # noqa: F401
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import Count, F, Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django_q.models import Failure, OrmQ, Schedule, Success

from batch.jobs import jobs
from batch.models import (
    Item,
    ItemState,
    Job,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    without_query,
)
from batch.webhooks import callbacks
from recognition.admin import kit
from recognition.admin.filters import ByChoice, is_set
from recognition.admin.kit import (
    LargeTable,
    ReadOnly,
    actor_of,
    column,
    link,
    spaced,
    time_column,
)
from recognition.models import User

for _model in (Failure, OrmQ, Schedule, Success):
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)

_OUTCOMES = {
    "pending": _lazy("waits"),
    "success": _lazy("done"),
    "skipped": _lazy("skipped: the job ended before"),
}
_COUNTED = {
    "success": _lazy("done"),
    "error": _lazy("failed"),
    "pending": _lazy("wait"),
    "skipped": _lazy("skipped"),
}
_CALLBACKS = {
    "pending": _lazy("waits for its next try"),
    "delivered": _lazy("delivered"),
    "dead": _lazy("given up after the last try"),
    "stopped": _lazy("stopped: the receiver answered 410 Gone"),
}
_ENDED = is_set(
    _lazy("state of the job"),
    "ended",
    "finished_at",
    _lazy("Has ended"),
    _lazy("Waiting or in progress"),
)
_DISABLED = is_set(
    _lazy("state"), "disabled", "disabled_at", _lazy("Disabled"), _lazy("Gets callbacks")
)


class Rows(LargeTable):
    """Lists with one action. The page of a row has a button for it, while it makes sense."""

    ordering = ["-pk"]
    change_form_template = "batch/row.html"
    acts_with = "batch.change_webhookdelivery"  # the permission for the action

    def button(self, row: Any) -> str:
        """The text of the button for the action; empty for no button."""
        raise NotImplementedError

    def has_act_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(self.acts_with)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        row = self.get_object(request, unquote(object_id))
        context = {
            "title": capfirst(str(self.opts.verbose_name)),
            "acts": self.actions,
            "button": self.button(row) if row and self.has_act_permission(request) else "",
            **(extra_context or {}),
        }
        return super().change_view(request, object_id, form_url, context)


class Part(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]
    """The parts of a row, for all who may view the row."""

    ordering = ["pk"]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        of = self.parent_model._meta
        return request.user.has_perm(f"{of.app_label}.view_{of.model_name}")


class ItemsOfJob(Part):
    model = Item
    verbose_name_plural = _lazy("Pictures")
    fields = ["image_id", "outcome", "attempts"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        error = {"code": F("result__code"), "message": F("result__message")}
        rows = super().get_queryset(request).defer("result", "options", "user_ids")
        shown: QuerySet[Any] = rows.annotate(**error)
        return shown

    @admin.display(description=_lazy("outcome"))
    def outcome(self, item: Any) -> str:
        """The error in words, or how far the item is; never its result."""
        if item.state == ItemState.ERROR:
            return f"{item.code}: {item.message}"
        return str(_OUTCOMES[item.state])


@admin.register(Job)
class JobAdmin(Rows):
    list_display = ["job_id", "what", "asked_by", "progress", "callback", "made"]
    list_filter = [_ENDED, ("status", ByChoice), ("kind", ByChoice)]
    list_select_related = ["delivery__endpoint"]
    search_fields = ["job_id__startswith", "subject__startswith"]
    search_help_text = _lazy("The beginning of the id of a job, or of the name of its app.")
    fields = ["job_id", "shown_kind", "state", "asked_by", "progress", "callback"]
    fields += ["callback_address", "made", "started", "ended", "deadline"]
    inlines = [ItemsOfJob]
    actions = ["cancel"]
    acts_with = "batch.change_job"

    made = time_column(_lazy("handed in"), "created_at")
    started = time_column(_lazy("started"), "started_at")
    ended = time_column(_lazy("ended"), "finished_at")
    deadline = time_column(_lazy("ends at the latest"), "deadline_at")
    shown_kind = column(_lazy("kind"), lambda job: spaced(job.kind))
    state = column(_lazy("status"), lambda job: capfirst(spaced(job.status)))
    asked_by = column(
        _lazy("handed in by"), lambda job: link(job.person) if job.person else job.subject
    )
    callback_address = column(
        _lazy("callback address"), lambda job: without_query(job.callback_url) or "–"
    )

    def button(self, row: Job) -> str:
        return "" if row.finished_at else _("Cancel this job")

    def prepare(self, rows: list[Job]) -> None:
        counts: dict[int, Counter[str]] = {job.pk: Counter() for job in rows}
        items = Item.objects.filter(job__in=list(counts)).order_by().values_list("job", "state")
        for job_id, state, count in items.annotate(Count("pk")):
            counts[job_id][state] = count
        people = User.objects.only("pk", "display_name").in_bulk(
            {job.user_id for job in rows if job.user_id}
        )
        for job in rows:
            job.states = counts[job.pk]  # type: ignore[attr-defined]
            job.person = people.get(job.user_id) if job.user_id else None  # type: ignore[attr-defined]

    @admin.display(description=_lazy("what"))
    def what(self, job: Job) -> str:
        return f"{capfirst(spaced(job.kind))}: {self.state(job).lower()}"

    @admin.display(description=_lazy("pictures"))
    def progress(self, job: Any) -> str:
        parts = [
            f"{job.states[state]} {name}" for state, name in _COUNTED.items() if job.states[state]
        ]
        return f"{job.total}: {', '.join(parts)}" if parts else str(job.total)

    @admin.display(description=_lazy("callback"))
    def callback(self, job: Job) -> str:
        if not hasattr(job, "delivery"):
            return _("when the job ends") if job.callback_url and not job.finished_at else "–"
        return link(job.delivery, str(_CALLBACKS[job.delivery.state]))

    @admin.action(description=_lazy("Cancel the selected jobs"), permissions=["act"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        """Cancels after a confirmation: the rest of a job's pictures is dropped."""
        wanted = list(queryset.filter(finished_at=None).order_by("pk"))
        if not wanted:
            self.message_user(request, _("These jobs have already ended: nothing was cancelled."))
            return None
        if "confirmed" not in request.POST:
            context = {"jobs": wanted}
            title = _("Cancel jobs?")
            return kit.page(request, "batch/cancel_jobs.html", title, Job, context)
        done = [job for job in wanted if jobs.cancel_any(job, actor=actor_of(request))]
        kit.note_in_history(request, done, _("Cancelled"))
        ids = ", ".join(job.job_id for job in done)
        self.message_user(request, _("Cancelled: {jobs}.").format(jobs=ids))
        return None


def _outcome(attempt: WebhookAttempt) -> str:
    if attempt.status:
        return _("status {status}").format(status=attempt.status)
    return attempt.error or _("no answer")


class TriesOfDelivery(Part):
    model = WebhookAttempt
    verbose_name_plural = _lazy("Tries")
    fields = ["tried", "outcome", "took"]

    tried = time_column(_lazy("tried"), "at")
    outcome = column(_lazy("outcome"), _outcome)
    took = column(_lazy("took"), lambda attempt: f"{attempt.duration_ms / 1000:.2f} s")


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(Rows):
    list_display = ["message_id", "of_job", "address", "shown_state", "shown_tries", "next_try"]
    list_filter = [("state", ByChoice)]
    list_select_related = ["job", "endpoint"]
    search_fields = ["message_id__startswith", "job__job_id__startswith"]
    search_help_text = _lazy("The beginning of the id of a message or a job.")
    fields = [*list_display, "made"]
    inlines = [TriesOfDelivery]
    actions = ["replay"]

    of_job = column(_lazy("job"), lambda delivery: link(delivery.job))
    address = column(_lazy("address"), lambda delivery: link(delivery.endpoint))
    shown_state = column(_lazy("state"), lambda delivery: _CALLBACKS[delivery.state])
    next_try = time_column(_lazy("next try"), "next_attempt_at")
    made = time_column(_lazy("made"), "created_at")

    def button(self, row: WebhookDelivery) -> str:
        return _("Send again")

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookDelivery]:
        tries = WebhookAttempt.objects.order_by("pk")
        return super().get_queryset(request).prefetch_related(Prefetch("attempts", tries))

    @admin.display(description=_lazy("tries"))
    def shown_tries(self, delivery: WebhookDelivery) -> str:
        """Counts all tries, including those before a replay, which starts `tries` again."""
        tries = list(delivery.attempts.all())
        if not tries:
            return _("none yet")
        last = _outcome(tries[-1])
        return _("{count}, the last one: {outcome}").format(count=len(tries), outcome=last)

    @admin.action(description=_lazy("Send the selected callbacks again"), permissions=["act"])
    def replay(self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]) -> None:
        rows = list(queryset)
        count = callbacks.replay(queryset, actor=actor_of(request))
        kit.note_in_history(request, rows, _("Sent again"))
        self.message_user(request, _("Callbacks that are sent again: {count}.").format(count=count))


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(Rows):
    list_display = ["address", "client", "state"]
    list_filter = [_DISABLED]
    search_fields = ["client", "url"]
    search_help_text = _lazy("A part of the address, or the name of the app.")
    fields = ["client", "address", "state"]
    actions = ["enable"]

    address = column(_lazy("address"), lambda endpoint: endpoint.address)

    def button(self, row: WebhookEndpoint) -> str:
        return _("Enable again") if row.disabled_at else ""

    @admin.display(description=_lazy("state"))
    def state(self, endpoint: WebhookEndpoint) -> str:
        if endpoint.disabled_at is None:
            return _("gets callbacks")
        since = kit.when(endpoint.disabled_at)
        return _("disabled since {time}: it answered 410 Gone").format(time=since)

    @admin.action(description=_lazy("Enable the selected addresses again"), permissions=["act"])
    def enable(self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint]) -> None:
        rows = list(queryset.exclude(disabled_at=None))
        count = callbacks.enable(queryset, actor=actor_of(request))
        kit.note_in_history(request, rows, _("Enabled again"))
        said = _("Addresses enabled again: {addresses}. Callbacks sent again: {callbacks}.")
        self.message_user(request, said.format(addresses=len(rows), callbacks=count))
