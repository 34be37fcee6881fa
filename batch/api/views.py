"""Batches over HTTP: parse, call one function, answer."""

from functools import partial

from django.conf import settings
from drf_spectacular.utils import OpenApiParameter
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from batch.api import answers
from batch.api.serializers import (
    MOST_OF_EACH,
    BatchIdentifyForm,
    BatchIdentifyRequest,
    BatchRegisterForm,
    BatchRegisterRequest,
    BatchRequest,
)
from batch.jobs import at_once, jobs, verbs
from batch.jobs.jobs import NewItem
from batch.models import Item, Job, Kind, Status, UnknownPerson
from batch.webhooks import addresses
from recognition.api.fields import refuse_unknown, viewer_of, viewer_parameter
from recognition.api.idempotency import idempotent
from recognition.api.pagination import NewestFirst
from recognition.api.service_view import ServiceViewSet, operation
from recognition.identification import identifying
from recognition.identification.identifying import IdentificationRequest
from recognition.models.user_ids import UserId
from recognition.processes import client_connection


class BatchViewSet(ServiceViewSet):
    """Many pictures in one request. `body` of an action is what `prepare` reads."""

    tag = "batches"
    body: type[BatchRequest] = BatchRequest
    pictures = settings.MAX_BATCH_SIZE
    bytes_of_each = MOST_OF_EACH
    is_batch = True

    def max_body_bytes(self) -> int:
        return int(settings.MAX_BATCH_BYTES)

    def forget_body(self) -> None:
        super().forget_body()
        vars(self).pop("read", None)

    def prepare(self, request: Request) -> None:
        """Reads the body and looks up where its callback would go. Raises ValidationError,
        ServiceError."""
        refuse_unknown(request.query_params, ())  # `async` belongs in the body
        self.read = self.fields(self.body)
        self.callback_url = self.read["processing_options"].get("callback_url", "")
        if self.callback_url:
            addresses.check(self.callback_url)

    def submit(self, kind: Kind, options: verbs.Json, items: list[NewItem]) -> Response:
        job = jobs.submit(
            caller=self.caller,
            kind=kind,
            options=options,
            items=items,
            callback_url=self.callback_url,
        )
        return Response(answers.Job.of(job), status=202)

    @idempotent
    @operation(
        "batch_identify",
        "Find who is in each of many pictures",
        {200: answers.AtOnce, 202: answers.Job},
        body={
            "application/json": BatchIdentifyRequest,
            "multipart/form-data": BatchIdentifyForm,
        },
        parameters=[viewer_parameter],
    )
    @action(
        detail=False,
        methods=["post"],
        url_path="batch-identify",
        required_scope="face:identify face:batch",
        body=BatchIdentifyRequest,
    )
    def identify(self, request: Request) -> Response:
        """With `processing_options.async` you get 202 and a job; otherwise all results at once.

        A corrupt picture is the error of its item.
        """
        fields, caller = self.read, self.caller
        viewer = viewer_of(request, fields)
        options = identifying.options_of(fields, viewer)
        IdentificationRequest.noted(caller, options)  # or refused, before anything is stored
        options["group_unknown"] = fields["processing_options"]["group_unknown"]
        if options["group_unknown"]:
            caller.require_service()
        items = [NewItem(image["image_id"], image["image"], {}) for image in fields["images"]]
        if not fields["processing_options"]["async"]:
            has_client = partial(client_connection.is_open, request.META)
            done = at_once.answer(caller, Kind.IDENTIFY, options, items, has_client)
            return Response(answers.AtOnce.of(done))
        return self.submit(Kind.IDENTIFY, {**options, "on_behalf_of": _key(viewer)}, items)

    @idempotent
    @operation(
        "batch_register",
        "Enrol many faces, as a job",
        {202: answers.Job},
        body={
            "application/json": BatchRegisterRequest,
            "multipart/form-data": BatchRegisterForm,
        },
    )
    @action(
        detail=False,
        methods=["post"],
        url_path="batch-register",
        required_scope="face:register face:batch",
        body=BatchRegisterRequest,
    )
    def register(self, request: Request) -> Response:
        """Enrol many faces, as a job."""
        for image in self.read["images"]:
            self.caller.require_own(image["user_id"])
        items = [
            NewItem(
                image.pop("image_id"),
                image.pop("image"),
                {**image, "user_id": image["user_id"].text},
            )
            for image in self.read["images"]
        ]
        return self.submit(Kind.REGISTER, {}, items)


def _key(viewer: UserId | None) -> str | None:
    return str(viewer) if viewer else None


class JobPages(NewestFirst):
    parameters = [
        *NewestFirst.parameters,
        OpenApiParameter("status", str, enum=Status.values, description="Only these."),
    ]


class InOrder(NewestFirst):
    ordering = "id"


class JobViewSet(ServiceViewSet):
    required_scope = "face:batch"
    tag = "batches"
    lookup_field = lookup_value_converter = "job_id"

    @operation("list_batch_jobs", "List your jobs", answers.JobList, pages=JobPages)
    def list(self, request: Request) -> Response:
        """The caller's jobs, newest first."""
        mine = Job.objects.of(self.caller).with_counts()
        if (status := request.query_params.get("status")) is not None:
            mine = mine.filter(status=status)
        return self.page("jobs", mine, answers.Job.each, JobPages())

    @operation("get_batch_job", "Show a job and how far it is", answers.Job)
    def retrieve(self, request: Request, job_id: str) -> Response:
        """One job: its status and how many of its pictures are done."""
        return Response(answers.Job.of(jobs.of(self.caller, job_id)))

    @operation("list_batch_results", "List the results of a job", answers.Results, pages=InOrder)
    @action(detail=True)
    def results(self, request: Request, job_id: str) -> Response:
        """The results so far, in the order of the pictures; all of them when the job has ended."""
        job = jobs.of(self.caller, job_id)
        items = Item.objects.filter(job=job)
        done = items if job.finished_at else items.done()
        counts = answers.Counts.of(job)
        return self.page("results", done, answers.Item.each, InOrder(), beside=counts)

    @operation(
        "list_unknown_people",
        "List the unknown people of a job",
        answers.UnknownPeople,
        pages=InOrder,
    )
    @action(detail=True, url_path="unknown-people")
    def unknown_people(self, request: Request, job_id: str) -> Response:
        """Those with most pictures first; nobody until a job with `group_unknown` is completed."""
        job = jobs.of(self.caller, job_id)
        people = UnknownPerson.objects.filter(job=job).select_related("best_item")
        return self.page("unknown_people", people, answers.UnknownPerson.each, InOrder())

    @operation("cancel_batch_job", "Cancel a job", answers.Job)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, job_id: str) -> Response:
        """End a job with the results so far; the pictures that wait are dropped."""
        return Response(answers.Job.of(jobs.cancel(caller=self.caller, job_id=job_id)))
