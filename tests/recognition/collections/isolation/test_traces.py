"""What a collection holds is in no answer, log line, callback and export of another one."""

import json
import logging
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from pytest_django import Settings
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from batch.jobs import work
from batch.models import Job, WebhookDelivery, WebhookEndpoint
from batch.webhooks import callbacks, signing
from facesvc.collection_files import sealed
from facesvc.monitoring import stored_metrics
from facesvc.monitoring.logs import LineFormatter, RequestIdFilter
from recognition.access import SCOPES
from recognition.api.callers import tokens
from recognition.collections import schemas
from recognition.collections.current import Entered, entered
from recognition.enrolment import lookalikes
from recognition.models import AuditEvent, PossibleDuplicate
from tests.api.routes import ROWS
from tests.recognition.collections.isolation.filling import (
    SECRETS,
    Filled,
    begin,
    fill,
    nowhere,
)
from tests.recognition.collections.isolation.test_routes import MORE, send
from tests.support.builders import OWNER, PICTURE_BASE64, FakePipeline, data_of, make_user
from tests.support.collections.callers import service_of
from tests.support.dump import dump, tables_with
from tests.support.everywhere import HERS, NAME, ZOE, allow
from tests.support.servers.receiver import Receiver, receiving

pytestmark = pytest.mark.django_db
# `default` beside a full one, and another beside a full `default`, or beside a full third one.
PLACES = pytest.mark.parametrize(("mine", "theirs"), [(0, 1), (1, 0), (1, 2)])


@pytest.fixture(autouse=True)
def prepared(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    allow(settings)
    settings.FACESVC_METRICS_OPEN = True
    monkeypatch.setattr(work, "_SLICE", 60.0)  # however busy the machine is
    monkeypatch.setattr(stored_metrics, "_remembered", (0.0, []))


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """The lines of the log as the service writes them."""
    lines: list[str] = []
    formatter, named = LineFormatter("%(levelname)s %(name)s %(message)s"), RequestIdFilter()

    class Noting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            named.filter(record)
            lines.append(formatter.format(record))

    handler = Noting()
    logging.getLogger().addHandler(handler)
    caplog.set_level(logging.DEBUG)
    yield lines
    logging.getLogger().removeHandler(handler)


def ask_everything(place: Entered, fake: FakePipeline, picture: Any) -> list[bytes]:
    """Every request by an admin, about what is there and what is nowhere, with this face in each
    picture. The answers, and their headers."""
    own = begin(place)
    with entered(place):
        admin = tokens.issue("moderation", [*SCOPES], minutes=5)
    ids = {**nowhere(), "user_id": own["own_id"], "face_id": own["own_face"], **own}
    ids["name"] = own["own_group"]
    rows = [row for row in [*ROWS, *MORE] if row.scope != "face:collections"]
    reading_first = sorted(rows, key=lambda row: (row.method != "GET", row.method == "DELETE"))
    answers = []
    for row in reading_first:
        fake.show(picture)
        answer = send(row, ids, admin)
        assert answer.status_code < 500, row
        answers.append(answer.content + repr(answer.headers).encode())
    with entered(place):
        while lookalikes.search_next():
            pass
    return answers


def seen_in(texts: list[bytes], secrets: tuple[str, ...]) -> set[str]:
    """Which of the secrets are in one of the texts, also as JSON may write them."""
    together = b"\n".join(texts).decode("utf-8", "replace").lower()
    return {
        secret
        for secret in secrets
        if secret.lower() in together or json.dumps(secret)[1:-1].lower() in together
    }


@pytest.mark.slow
@PLACES
def test_it_works(
    places: list[Entered], fake: FakePipeline, log: list[str], mine: int, theirs: int
) -> None:
    """Answers, the log, the audit log, pairs for moderators, and all that is stored."""
    full = fill(places[theirs], fake)
    log.clear()
    place = places[mine]
    answers = ask_everything(place, fake, HERS)
    assert seen_in(answers, full.secrets) == set()
    written = [line.encode() for line in log]
    assert written and seen_in(written, full.secrets) == set()
    with entered(place):
        assert AuditEvent.objects.count() > 10
        # All that the schema of this one has, and what all share.
        assert tables_with(dump(), [secret.encode() for secret in full.secrets]) == set()
        pairs = PossibleDuplicate.objects.values_list("user_a", "user_b")
        assert not [pair for pair in pairs if ZOE in pair]


def test_the_secrets_are_found_where_they_are(places: list[Entered], fake: FakePipeline) -> None:
    """So the tests above do not pass for want of anything to find."""
    full = fill(places[1], fake)
    service = service_of(places[1], Client())
    lists = ("users", "faces", "groups", "batch-jobs", "audit", "duplicates")
    answers = [service.get(path).content for path in lists]
    assert {NAME, str(ZOE), full.ids["face_id"], full.ids["job_id"]} <= seen_in(
        answers, full.secrets
    )
    with entered(places[1]):
        assert len(tables_with(dump(), [secret.encode() for secret in SECRETS])) > 10


# --- callbacks ------------------------------------------------------------------------------------


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    with receiving(200) as receiver:
        settings.WEBHOOK_ALLOWED_HOSTS = [f"127.0.0.1:{receiver.port}"]
        yield receiver


def submit(place: Entered, url: str) -> str:
    images = [{"image_id": f"of {place.name}", "image": PICTURE_BASE64}]
    options = {"async": True, "callback_url": url}
    service = service_of(place, Client())
    answer = service.post("batch-identify", images=images, processing_options=options)
    return str(data_of(answer, 202)["job_id"])


def test_callbacks(places: list[Entered], fake: FakePipeline, receiver: Receiver) -> None:
    """One for each collection's job to the same address, signed with its own secret."""
    fake.show(HERS)
    of_job = {submit(place, receiver.url): place for place in places}
    work.work()
    callbacks.deliver_due()
    assert len(receiver.received) == len(places)
    for headers, body in receiver.received:
        named = [job for job in of_job if job.encode() in body]
        (job,) = named
        for place in places:
            with entered(place):
                secret = signing.current("app")
            if place is of_job[job]:
                Webhook(secret).verify(body, headers)
            else:
                with pytest.raises(WebhookVerificationError):
                    Webhook(secret).verify(body, headers)
    for job, place in of_job.items():
        with entered(place):
            assert [each.job_id for each in Job.objects.all()] == [job]
            assert WebhookDelivery.objects.get().state == "delivered"


def test_an_address_that_is_gone_is_gone_for_one(
    places: list[Entered], fake: FakePipeline, settings: Settings
) -> None:
    with receiving(410, 200) as receiver:
        settings.WEBHOOK_ALLOWED_HOSTS = [f"127.0.0.1:{receiver.port}"]
        for place in places[:2]:
            submit(place, receiver.url)
            work.work()
            callbacks.deliver_due()
        assert len(receiver.received) == 2
    states = []
    for place in places[:2]:
        with entered(place):
            endpoint = WebhookEndpoint.objects.get()
            states.append((WebhookDelivery.objects.get().state, bool(endpoint.disabled_at)))
    assert states == [("stopped", True), ("delivered", False)]


# --- exports --------------------------------------------------------------------------------------


@PLACES
def test_the_export_of_a_user_with_the_same_id(
    places: list[Entered], fake: FakePipeline, tmp_path: Path, mine: int, theirs: int
) -> None:
    full = fill(places[theirs], fake)
    with entered(places[mine]):
        make_user(ZOE, display_name="of here")
    path = tmp_path / "zoe.zip"
    call_command(
        *("export_user", str(ZOE)), asked_by="x", output=path, collection=places[mine].name
    )
    with zipfile.ZipFile(path) as archive:
        texts = [archive.read(name) for name in archive.namelist()]
        data = json.loads(archive.read("data.json"))
    known = {str(ZOE), ZOE.hex}  # the id is the same
    assert seen_in(texts, tuple({*full.secrets} - known)) == set()
    assert [row["display_name"] for row in data["user"]] == ["of here"]
    assert not data["faces"] and not data["sessions"]


@pytest.fixture
def dropped_afterwards(places: list[Entered]) -> Iterator[list[Entered]]:
    """For a test whose transactions end."""
    yield places
    for place in places[1:]:
        schemas.drop(place)


@pytest.mark.django_db(transaction=True)
def test_the_file_of_a_collection(
    dropped_afterwards: list[Entered], fake: FakePipeline, tmp_path: Path
) -> None:
    places = dropped_afterwards
    full: Filled = fill(places[2], fake)
    begin(places[1])
    phrase, file = tmp_path / "phrase", tmp_path / "shop.collection"
    phrase.write_text("correct horse battery staple")
    call_command("export_collection", "shop", file, passphrase=phrase)
    with file.open("rb") as content:
        lines = [json.dumps(line).encode() for line in sealed.read(content, phrase.read_text())]
    assert seen_in(lines, (str(OWNER),)) and seen_in(lines, full.secrets) == set()


# --- metrics --------------------------------------------------------------------------------------


def test_metrics(places: list[Entered], fake: FakePipeline, settings: Settings) -> None:
    """They name collections only where a setting says so, and nothing that is in one."""
    full = fill(places[1], fake)
    names = ("shop", "bank")
    text = Client().get("/metrics").content
    assert seen_in([text], (*full.secrets, *names)) == set()
    settings.FACESVC_METRICS_BY_COLLECTION = True
    stored_metrics._remembered = (0.0, [])
    text = Client().get("/metrics").content
    assert seen_in([text], full.secrets) == set() and seen_in([text], names) == {*names}
