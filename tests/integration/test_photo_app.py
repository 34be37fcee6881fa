"""Auto-tagging in a photo app: docs/integration/photos.md."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pytest_django import Settings

from batch.jobs import work
from batch.models import Job, WebhookDelivery
from batch.webhooks import callbacks, signing
from tests.integration.conftest import App, photo
from tests.integration.django_project import enrol, posted, served
from tests.support.builders import FakePipeline, vector

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def app(start: Callable[[str], App], fake: FakePipeline, settings: Settings) -> App:
    example = start("django")
    example.environment["FACES_WEBHOOK_SECRET"] = signing.current("my-app")
    served(example, fake)
    settings.FACESVC_WEBHOOK_ALLOW_HTTP = True
    settings.WEBHOOK_ALLOWED_HOSTS = [example.url.removeprefix("http://")]
    return example


def uploaded(visitor: httpx.Client, *images: bytes) -> list[int]:
    visitor.get("/login/face/")
    files = [("photos", (f"{at}.png", image, "image/png")) for at, image in enumerate(images)]
    headers = {"X-CSRFToken": visitor.cookies["csrftoken"], "Referer": str(visitor.base_url)}
    answer = visitor.post("/photos/", files=files, headers=headers)
    assert answer.status_code == 202
    ids: list[int] = answer.json()["photos"]
    return ids


def suggested(visitor: httpx.Client, photo_id: int) -> Any:
    return visitor.get(f"/photos/{photo_id}/suggestions/").json()


def ended() -> bytes:
    """What the service sends at the end of the job, but for the fields that nobody reads."""
    data = {"job_id": Job.objects.get().job_id, "status": "completed"}
    return json.dumps({"type": "batch.completed", "data": data}).encode()


def test_it_works(app: App, fake: FakePipeline) -> None:
    """Upload, batch, callback, suggestions, a tag."""
    ann, ben = enrol(app, fake, "ann"), enrol(app, fake, "ben")
    fake.show([vector(2), vector(9)])
    assert 'name="photos"' in ann.get("/photos/").text
    first, broken = uploaded(ann, photo(30), b"no picture")
    assert suggested(ann, first) == {"is_ready": False, "problem": "", "suggestions": []}
    work.work()
    assert callbacks.deliver_due() == 1
    assert WebhookDelivery.objects.get().state == "delivered"
    known, unknown = suggested(ann, first)["suggestions"]
    assert (known["name"], unknown["name"]) == ("ben", None) and known["confidence"] > 0.8
    assert suggested(ann, broken)["problem"] == "unsupported_format"
    assert ben.get(f"/photos/{first}/suggestions/").status_code == 404
    assert (
        posted(ben, f"/photos/suggestions/{known['id']}/", None, is_right="yes").status_code == 404
    )
    posted(ann, f"/photos/suggestions/{known['id']}/", None, is_right="yes")
    assert [each["name"] for each in suggested(ann, first)["suggestions"]] == [None]


def test_a_callback_may_come_twice(app: App, fake: FakePipeline) -> None:
    ann = enrol(app, fake, "ann")
    fake.show([vector(1)])
    (first,) = uploaded(ann, photo(31))
    work.work()
    callbacks.deliver_due()
    (row,) = suggested(ann, first)["suggestions"]
    posted(ann, f"/photos/suggestions/{row['id']}/", None, is_right="yes")
    body = ended()
    headers = signing.headers("my-app", "msg_1", body)
    assert app.visit().post("/photos/callback/", content=body, headers=headers).status_code == 204
    assert suggested(ann, first)["suggestions"] == []


def test_nobody_else_can_call_back(app: App, fake: FakePipeline) -> None:
    ann = enrol(app, fake, "ann")
    uploaded(ann, photo(32))
    work.work()
    body = ended()
    forged = signing.headers("another-app", "msg_1", body)
    assert app.visit().post("/photos/callback/", content=body, headers=forged).status_code == 400
    assert app.visit().post("/photos/callback/", content=body).status_code == 400
    assert "a callback was refused: the signature is not that of this body" in app.log


def test_photos_that_cannot_be_sent_are_kept(
    app: App, fake: FakePipeline, settings: Settings
) -> None:
    ann = enrol(app, fake, "ann")
    settings.WEBHOOK_ALLOWED_HOSTS = []
    (first,) = uploaded(ann, photo(33))
    assert suggested(ann, first) == {"is_ready": False, "problem": "not_sent", "suggestions": []}
    assert "invalid_callback_url" in app.log and not Job.objects.exists()


def test_many_photos_are_several_batches(app: App, fake: FakePipeline) -> None:
    ann = enrol(app, fake, "ann")
    uploaded(ann, *(photo(40 + at) for at in range(21)))
    assert sorted(Job.objects.values_list("total", flat=True)) == [1, 20]
