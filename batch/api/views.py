"""Batches over HTTP: parse, call one function, answer."""

from typing import Any

from django.conf import settings
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from batch.api import schemas
from batch.api.serializers import (
    MOST_OF_EACH,
    BatchIdentifyRequest,
    BatchRegisterRequest,
    BatchRequest,
)
from batch.jobs import answers, at_once, jobs, verbs
from batch.jobs.jobs import NewItem
from batch.models import Item, Job, Kind, Status
from batch.webhooks import callbacks
from recognition import audit
from recognition.api.idempotency import idempotent
from recognition.api.pagination import NewestFirst
from recognition.api.serializers import refuse_unknown
from recognition.api.service_view import ServiceView
from recognition.api.views import is_tagging, viewer_of, viewer_parameter
from recognition.errors import ServiceError


class BatchView(ServiceView):
    body: type[BatchRequest]
    pictures = settings.MAX_BATCH_SIZE

    def max_body_bytes(self) -> int:
        limit: int = settings.MAX_BATCH_BYTES
        return limit

    def max_other_bytes(self) -> int:
        room: int = settings.BODY_ROOM_BYTES + settings.MAX_BATCH_SIZE * MOST_OF_EACH
        return room

    def forget_body(self) -> None:
        super().forget_body()
        vars(self).pop("read", None)

    def prepare(self, request: Request) -> None:
        """Reads the body and looks up where its callback would go. Raises ValidationError,
        ServiceError."""
        refuse_unknown(request.query_params, ())  # such as `async`, which belongs into the body
        self.read = self.fields(self.body)
        self.callback_url = self.read["processing_options"].get("callback_url", "")
        if self.callback_url:
            callbacks.require_allowed(self.callback_url)

    def submit(self, kind: Kind, options: verbs.Json, items: list[NewItem]) -> Response:
        job = jobs.submit(
            caller=self.caller,
            kind=kind,
            options=options,
            items=items,
            callback_url=self.callback_url,
        )
        return Response(answers.job(job), status=202)


class BatchIdentifyView(BatchView):
    """Who is in each of many pictures: at once, or as a job."""

    required_scope = "face:identify face:batch"
    body = BatchIdentifyRequest

    @idempotent
    @extend_schema(
        operation_id="batch_identify",
        summary="Find who is in each of many pictures",
        request={
            "application/json": BatchIdentifyRequest,
            "multipart/form-data": schemas.BatchIdentifyForm,
        },
        parameters=[viewer_parameter],
        responses={200: schemas.AtOnce, 202: schemas.Job},
        tags=["batches"],
    )
    def post(self, request: Request) -> Response:
        """`processing_options.async` answers 202 with a job, else everything comes in one answer;
        so does a corrupt picture, as the error of its item."""
        fields, caller = self.read, self.caller
        viewer = viewer_of(request, fields)
        options = verbs.search_options(fields, viewer, tagging=is_tagging(fields["metadata"]))
        if verbs.scope_of(caller, options).everyone:
            audit.note(caller.name, "identify.everyone", viewer_id=viewer)
        items = [NewItem(image["image_id"], image["image"], {}) for image in fields["images"]]
        if not fields["processing_options"]["async"]:
            return Response(at_once.answer(caller, Kind.IDENTIFY, options, items))
        return self.submit(Kind.IDENTIFY, options, items)


class BatchRegisterView(BatchView):
    """Enrol many faces, as a job."""

    required_scope = "face:register face:batch"
    body = BatchRegisterRequest

    @idempotent
    @extend_schema(
        operation_id="batch_register",
        summary="Enrol many faces, as a job",
        request={
            "application/json": BatchRegisterRequest,
            "multipart/form-data": schemas.BatchRegisterForm,
        },
        responses={202: schemas.Job},
        tags=["batches"],
    )
    def post(self, request: Request) -> Response:
        for image in self.read["images"]:
            self.caller.require_own(image["user_id"])
        items = [
            NewItem(image.pop("image_id"), image.pop("image"), _stored(image))
            for image in self.read["images"]
        ]
        return self.submit(Kind.REGISTER, {}, items)


def _stored(options: dict[str, Any]) -> dict[str, Any]:
    return {**options, "user_id": str(options["user_id"])}


class JobPages(NewestFirst):
    filters = ("status",)
    parameters = [
        *NewestFirst.parameters,
        OpenApiParameter("status", str, enum=Status.values, description="Only these."),
    ]


class JobsView(ServiceView):
    """The caller's jobs, newest first."""

    required_scope = "face:batch"

    @extend_schema(
        operation_id="list_batch_jobs",
        summary="List your jobs",
        parameters=JobPages.parameters,
        responses={200: schemas.JobList},
        tags=["batches"],
    )
    def get(self, request: Request) -> Response:
        pages = JobPages()
        mine = Job.objects.of(self.caller).with_counts()
        if (status := request.query_params.get("status")) is not None:
            mine = mine.filter(status=known_status(status))
        return Response(
            answers.page(pages.paginate_queryset(mine, request, view=self)) | pages.cursors()
        )


def known_status(text: str) -> str:
    """Raises invalid_request."""
    if text not in Status.values:
        message = f"status must be one of {', '.join(Status.values)}."
        raise ServiceError("invalid_request", message)
    return text


class JobView(ServiceView):
    """One job: its status and how many of its pictures are done."""

    required_scope = "face:batch"

    @extend_schema(
        operation_id="get_batch_job",
        summary="Show a job and how far it is",
        responses={200: schemas.Job},
        tags=["batches"],
    )
    def get(self, request: Request, job_id: str) -> Response:
        return Response(answers.job(jobs.of(self.caller, job_id)))


class InOrder(NewestFirst):
    ordering = "id"


class JobResultsView(ServiceView):
    """The results so far, in the order of the pictures; all of them when the job has ended."""

    required_scope = "face:batch"

    @extend_schema(
        operation_id="list_batch_results",
        summary="List the results of a job",
        parameters=InOrder.parameters,
        responses={200: schemas.Results},
        tags=["batches"],
    )
    def get(self, request: Request, job_id: str) -> Response:
        job = jobs.of(self.caller, job_id)
        items = Item.objects.filter(job=job)
        pages = InOrder()
        page = pages.paginate_queryset(
            items if job.finished_at else items.done(), request, view=self
        )
        names = ("status", "total", "succeeded", "failed", "skipped")
        counts = {name: each for name, each in answers.job(job).items() if name in names}
        return Response({**counts, "results": answers.results(page or []), **pages.cursors()})


class CancelJobView(ServiceView):
    """End a job with what it has; the pictures that wait are dropped."""

    required_scope = "face:batch"

    @extend_schema(
        operation_id="cancel_batch_job",
        summary="Cancel a job",
        request=None,
        responses={200: schemas.Job},
        tags=["batches"],
    )
    def post(self, request: Request, job_id: str) -> Response:
        return Response(answers.job(jobs.cancel(caller=self.caller, job_id=job_id)))
