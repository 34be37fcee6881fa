"""Jobs and results as the JSON of the API; the shapes are in batch.api.schemas."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from batch.jobs.verbs import Json, result_item
from batch.models import Item, Job, skipped


def job(of: Any) -> Json:
    """The JSON of a job; `of` is a Job with its counts."""
    return {
        "job_id": of.job_id,
        "job_type": of.kind,
        "status": of.status,
        "total": of.total,
        "succeeded": of.succeeded,
        "failed": of.failed,
        "skipped": skipped(of),
        "callback_url": of.callback_url or None,
        "created_at": of.created_at,
        "started_at": of.started_at,
        "finished_at": of.finished_at,
    }


def results(of: Iterable[Item]) -> list[Json]:
    """Items that are done, or any item of a finished job, whose late results are discarded."""
    return [result_item(item.image_id, item.state, item.result) for item in of]


def at_once(status: str, items: list[Json]) -> Json:
    states = Counter(item["status"] for item in items)
    return {
        "status": status,
        "total": len(items),
        "succeeded": states["success"],
        "failed": states["error"],
        "skipped": states["skipped"],
        "results": items,
    }


def page(jobs: Iterable[Job] | None) -> Json:
    return {"jobs": [job(each) for each in jobs or []]}
