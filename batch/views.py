"""Batches over HTTP: parse, call one function, answer."""

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from batch import answers, jobs, schemas, verbs, work
from batch.jobs import NewItem
from batch.models import Item, Job, Kind
from batch.serializers import BatchIdentifyRequest, BatchRegisterRequest
from management.pagination import NewestFirst
from recognition.idempotency import idempotent
from recognition.models import AuditEvent
from recognition.service_view import ServiceView
from recognition.views import is_tagging, viewer_of, viewer_parameter


class BatchView(ServiceView):
    def max_body_bytes(self) -> int:
        limit: int = settings.MAX_BATCH_BYTES
        return limit


class BatchIdentifyView(BatchView):
    """Who is in each of many pictures: at once, or as a job."""

    required_scope = "face:identify face:batch"

    @idempotent
    @extend_schema(
        operation_id="batch_identify",
        request={
            "application/json": BatchIdentifyRequest,
            "multipart/form-data": schemas.BatchIdentifyForm,
        },
        parameters=[viewer_parameter],
        responses={200: schemas.AtOnce, 202: schemas.Job},
        tags=["batch"],
    )
    def post(self, request: Request) -> Response:
        """`processing_options.async` answers 202 with a job, else everything comes in one answer;
        so does a corrupt picture, as the error of its item."""
        fields, caller = self.fields(BatchIdentifyRequest), self.caller
        viewer = viewer_of(request, fields)
        options = verbs.search_options(fields, viewer, tagging=is_tagging(fields["metadata"]))
        if verbs.scope_of(caller, options).everyone:
            AuditEvent.objects.create(actor=caller.name, action="identify.everyone")
        items = [NewItem(image["image_id"], image["image"], {}) for image in fields["images"]]
        processing = fields["processing_options"]
        if not processing["async"]:
            return Response(work.at_once(caller, Kind.IDENTIFY, options, items))
        job = jobs.submit(
            caller=caller,
            kind=Kind.IDENTIFY,
            options=options,
            items=items,
            callback_url=processing.get("callback_url", ""),
        )
        return Response(answers.job(job), status=202)


class BatchRegisterView(BatchView):
    """Enrol many faces, as a job."""

    required_scope = "face:register face:batch"

    @idempotent
    @extend_schema(
        operation_id="batch_register",
        request={
            "application/json": BatchRegisterRequest,
            "multipart/form-data": schemas.BatchRegisterForm,
        },
        responses={202: schemas.Job},
        tags=["batch"],
    )
    def post(self, request: Request) -> Response:
        fields, caller = self.fields(BatchRegisterRequest), self.caller
        for image in fields["images"]:
            caller.require_own(image["user_id"])
        items = [
            NewItem(image.pop("image_id"), image.pop("image"), _stored(image))
            for image in fields["images"]
        ]
        job = jobs.submit(
            caller=caller,
            kind=Kind.REGISTER,
            options={},
            items=items,
            callback_url=fields["processing_options"].get("callback_url", ""),
        )
        return Response(answers.job(job), status=202)


def _stored(options: dict[str, Any]) -> dict[str, Any]:
    return {**options, "user_id": str(options["user_id"])}


class JobsView(ServiceView):
    """The caller's jobs, newest first."""

    required_scope = "face:batch"

    @extend_schema(
        operation_id="list_batch_jobs",
        parameters=NewestFirst.parameters,
        responses={200: schemas.JobList},
        tags=["batch"],
    )
    def get(self, request: Request) -> Response:
        pages = NewestFirst()
        mine = Job.objects.of(self.caller).with_counts()
        return Response(
            answers.page(pages.paginate_queryset(mine, request, view=self)) | pages.cursors()
        )


class JobView(ServiceView):
    """One job: its status and how many of its pictures are done."""

    required_scope = "face:batch"

    @extend_schema(operation_id="get_batch_job", responses={200: schemas.Job}, tags=["batch"])
    def get(self, request: Request, job_id: str) -> Response:
        return Response(answers.job(jobs.of(self.caller, job_id)))


class InOrder(NewestFirst):
    ordering = "id"


class JobResultsView(ServiceView):
    """The results so far, in the order of the pictures; complete when the job has ended."""

    required_scope = "face:batch"

    @extend_schema(
        operation_id="list_batch_results",
        parameters=InOrder.parameters,
        responses={200: schemas.Results},
        tags=["batch"],
    )
    def get(self, request: Request, job_id: str) -> Response:
        job = answers.job(jobs.of(self.caller, job_id))
        pages = InOrder()
        done = Item.objects.done().filter(job__job_id=job_id)
        page = answers.results(pages.paginate_queryset(done, request, view=self) or [])
        counts = {name: job[name] for name in ("status", "total", "succeeded", "failed")}
        return Response({**counts, "results": page, **pages.cursors()})


class CancelJobView(ServiceView):
    """End a job with what it has; the pictures that wait are dropped."""

    required_scope = "face:batch"

    @extend_schema(
        operation_id="cancel_batch_job", request=None, responses={200: schemas.Job}, tags=["batch"]
    )
    def post(self, request: Request, job_id: str) -> Response:
        return Response(answers.job(jobs.cancel(caller=self.caller, job_id=job_id)))
