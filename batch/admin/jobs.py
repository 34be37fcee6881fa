"""Jobs: operators can view and cancel them.

The pages show no picture and no result: only the caller of a search may know who was found.
"""

from collections import Counter
from typing import Any

# This import registers its models, of which a schedule could call any function there is.
import django_q.admin  # noqa: F401
from django.contrib import admin
from django.db.models import Count, F, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.text import capfirst
from django_q.models import Failure, OrmQ, Schedule, Success

from batch.admin.callbacks import STATES
from batch.admin.rows import Part, Rows
from batch.jobs import jobs
from batch.models import Item, ItemState, Job, without_query
from recognition.admin.kit import actor_of, link, note_in_history, spaced, when
from recognition.models import User

for _model in (Failure, OrmQ, Schedule, Success):
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)


class EndedFilter(admin.SimpleListFilter):
    title, parameter_name = "state of the job", "ended"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("no", "Waiting or in progress"), ("yes", "Has ended")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in ("no", "yes"):
            return queryset
        return queryset.filter(finished_at__isnull=self.value() == "no")


class ItemsOfJob(Part):
    model = Item
    verbose_name_plural = "Pictures"
    fields = ["image_id", "outcome", "attempts"]
    readonly_fields = ["image_id", "outcome", "attempts"]
    ordering = ["pk"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        error = {"code": F("result__code"), "message": F("result__message")}
        rows = super().get_queryset(request).defer("result", "options", "user_ids")
        shown: QuerySet[Any] = rows.annotate(**error)
        return shown

    def outcome(self, item: Any) -> str:
        """The error in words, or only that the item succeeded."""
        if item.state == ItemState.ERROR:
            return f"{item.code}: {item.message}"
        return {"pending": "waits", "success": "done", "skipped": "skipped: the job ended before"}[
            item.state
        ]


@admin.register(Job)
class JobAdmin(Rows):
    list_display = ["job_id", "what", "asked_by", "progress", "callback", "made"]
    list_filter = [EndedFilter, "status", "kind"]
    list_select_related = ["delivery__endpoint"]
    search_fields = ["job_id__startswith", "subject__startswith"]
    search_help_text = "The beginning of the id of a job, or of the name of its app."
    readonly_fields = ["job_id", "kind", "state", "asked_by", "progress", "callback"]
    readonly_fields += ["callback_address", "made", "started", "ended", "deadline"]
    fields = [*readonly_fields]
    inlines = [ItemsOfJob]
    actions = ["cancel"]

    def button(self, row: Job) -> str:
        return "" if row.finished_at else "Cancel this job"

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

    def get_object(self, *args: Any, **options: Any) -> Any:
        job = super().get_object(*args, **options)
        if job is not None:
            self.prepare([job])
        return job

    def what(self, job: Job) -> str:
        return f"{job.get_kind_display()}: {self.state(job).lower()}"

    @admin.display(description="status")
    def state(self, job: Job) -> str:
        return capfirst(spaced(job.get_status_display()).lower())

    @admin.display(description="handed in by")
    def asked_by(self, job: Any) -> str:
        return link(job.person) if job.person else job.subject

    @admin.display(description="pictures")
    def progress(self, job: Any) -> str:
        names = {"success": "done", "error": "failed", "pending": "wait", "skipped": "skipped"}
        parts = [
            f"{job.states[state]} {name}" for state, name in names.items() if job.states[state]
        ]
        return f"{job.total}: {', '.join(parts)}" if parts else str(job.total)

    def callback(self, job: Job) -> str:
        if not hasattr(job, "delivery"):
            return "when the job ends" if job.callback_url and not job.finished_at else "–"
        return link(job.delivery, STATES[job.delivery.state])

    def callback_address(self, job: Job) -> str:
        return without_query(job.callback_url) or "–"

    @admin.display(description="handed in")
    def made(self, job: Job) -> str:
        return when(job.created_at)

    def started(self, job: Job) -> str:
        return when(job.started_at)

    def ended(self, job: Job) -> str:
        return when(job.finished_at)

    @admin.display(description="ends at the latest")
    def deadline(self, job: Job) -> str:
        return when(job.deadline_at)

    @admin.action(description="Cancel the selected jobs", permissions=["cancel"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        """Cancels after a confirmation: the rest of a job's pictures is dropped."""
        wanted = list(queryset.filter(finished_at=None).order_by("pk"))
        if not wanted:
            self.message_user(request, "These jobs have already ended: nothing was cancelled.")
            return None
        if "confirmed" not in request.POST:
            context = {
                **self.admin_site.each_context(request),
                "title": "Cancel jobs?",
                "opts": self.opts,
                "jobs": wanted,
            }
            return TemplateResponse(request, "batch/cancel_jobs.html", context)
        done = [job for job in wanted if jobs.cancel_any(job, actor=actor_of(request))]
        note_in_history(request, done, "Cancelled")
        self.message_user(request, f"Cancelled: {', '.join(job.job_id for job in done)}.")
        return None

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("batch.change_job")
