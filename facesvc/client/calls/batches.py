"""The calls about batches.

Made of the API description by `make docs`: to change it, change the API.
"""

from collections.abc import Sequence
from typing import Literal

from facesvc.client import answers
from facesvc.client.call import Call, Id, Json, PagedCall, id_or_none, key_or_new, part, with_ids
from facesvc.client.pictures import Picture


def batch_identify(
    images: Sequence[answers.BatchPicture | Picture],
    *,
    on_behalf_of: Id | None = None,
    idempotency_key: str | None = None,
    faces: answers.FacesEnum | None = None,
    unique_people: bool | None = None,
    search_scope: answers.SearchScope | None = None,
    metadata: Json | None = None,
    processing_options: answers.IdentifyProcessing | None = None,
) -> Call[answers.AtOnce | answers.Job]:
    """Find who is in each of many pictures."""
    return Call(
        method="POST",
        path="batch-identify",
        is_repeatable=True,
        headers={
            "Idempotency-Key": key_or_new(idempotency_key),
        },
        form={
            "on_behalf_of": id_or_none(on_behalf_of),
            "faces": faces,
            "unique_people": unique_people,
            "search_scope": search_scope,
            "metadata": metadata,
            "processing_options": processing_options,
        },
        images=images,
    )


def batch_register(
    images: Sequence[answers.BatchFace],
    *,
    idempotency_key: str | None = None,
    processing_options: answers.AlwaysAsync | None = None,
) -> Call[answers.Job]:
    """Enrol many faces, as a job."""
    return Call(
        method="POST",
        path="batch-register",
        is_repeatable=True,
        headers={
            "Idempotency-Key": key_or_new(idempotency_key),
        },
        form={
            "processing_options": processing_options,
        },
        images=with_ids(images),
    )


def list_batch_jobs(
    *,
    cursor: str | None = None,
    page_size: int | None = None,
    status: Literal["cancelled", "completed", "processing", "queued", "timed_out"] | None = None,
) -> PagedCall[answers.JobList, answers.Job]:
    """List your jobs."""
    return PagedCall(
        method="GET",
        path="batch-jobs",
        is_repeatable=True,
        items="jobs",
        query={
            "cursor": cursor,
            "page_size": page_size,
            "status": status,
        },
    )


def get_batch_job(
    job_id: Id,
) -> Call[answers.Job]:
    """Show a job and how far it is."""
    return Call(
        method="GET",
        path=f"batch-jobs/{part(job_id)}",
        is_repeatable=True,
    )


def list_batch_results(
    job_id: Id,
    *,
    cursor: str | None = None,
    page_size: int | None = None,
) -> PagedCall[answers.Results, answers.AnyItem]:
    """List the results of a job."""
    return PagedCall(
        method="GET",
        path=f"batch-jobs/{part(job_id)}/results",
        is_repeatable=True,
        items="results",
        query={
            "cursor": cursor,
            "page_size": page_size,
        },
    )


def list_unknown_people(
    job_id: Id,
    *,
    cursor: str | None = None,
    page_size: int | None = None,
) -> PagedCall[answers.UnknownPeople, answers.UnknownPerson]:
    """List the unknown people of a job."""
    return PagedCall(
        method="GET",
        path=f"batch-jobs/{part(job_id)}/unknown-people",
        is_repeatable=True,
        items="unknown_people",
        query={
            "cursor": cursor,
            "page_size": page_size,
        },
    )


def cancel_batch_job(
    job_id: Id,
) -> Call[answers.Job]:
    """Cancel a job."""
    return Call(
        method="POST",
        path=f"batch-jobs/{part(job_id)}/cancel",
        is_repeatable=False,
    )
