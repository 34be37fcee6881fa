"""Jobs and results as the JSON of the API; the shapes are in batch.schemas."""

from collections.abc import Iterable
from typing import Any

from batch.models import Item, Job
from batch.verbs import Json, result_item


def job(of: Any) -> Json:
    """`of` is a Job with its counts."""
    return {
        "job_id": of.job_id,
        "job_type": of.kind,
        "status": of.status,
        "total": of.total,
        "succeeded": of.succeeded,
        "failed": of.failed,
        "callback_url": of.callback_url or None,
        "created_at": of.created_at,
        "started_at": of.started_at,
        "finished_at": of.finished_at,
    }


def results(of: Iterable[Item]) -> list[Json]:
    return [result_item(item.image_id, item.state, item.result) for item in of]


def at_once(status: str, total: int, items: list[Json]) -> Json:
    succeeded = sum(item["status"] == "success" for item in items)
    return {
        "status": status,
        "total": total,
        "succeeded": succeeded,
        "failed": len(items) - succeeded,
        "results": items,
    }


def page(jobs: Iterable[Job] | None) -> Json:
    return {"jobs": [job(each) for each in jobs or []]}
