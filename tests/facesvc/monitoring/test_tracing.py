"""OpenTelemetry: only if asked for, and then without anything of a person."""

import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from facesvc.monitoring import tracing
from recognition.processes import slots
from tests.support.builders import (
    OWNER,
    PICTURE_BASE64,
    PREFIX,
    FakePipeline,
    Person,
    make_face,
    make_user,
    vector,
)

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
GRPC = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    monkeypatch.setattr(tracing, "_tracer", None)
    monkeypatch.setattr(tracing, "around", tracing.around)
    monkeypatch.setattr(slots, "around", slots.around)
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider)
    return exporter


@pytest.mark.django_db
def test_it_works(service: Person, fake: FakePipeline, spans: InMemorySpanExporter) -> None:
    make_face(make_user(OWNER), vector(1))
    fake.show(vector(1))
    fields = {"user_id": OWNER, "image": PICTURE_BASE64}
    service.send("post", "verify", fields, headers={"traceparent": PARENT})
    found = spans.get_finished_spans()
    assert {f"{span.context.trace_id:032x}" for span in found} == {PARENT.split("-")[1]}
    request = found[-1]
    assert request.name == f"POST {PREFIX}verify"
    assert request.attributes["http.response.status_code"] == 200
    stages = {"wait", "decode", "detect", "embed", "checks", "search"}
    assert stages <= {span.name for span in found[:-1]}
    assert str(OWNER) not in str([span.to_json() for span in found])


def test_an_error_tells_nothing(spans: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="a vector"), slots.stage("search"):
        raise ValueError("a vector")
    (span,) = spans.get_finished_spans()
    assert "a vector" not in span.to_json()


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        (GRPC, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_SERVICE_NAME": "faces"}, False),
        ({**GRPC, "OTEL_SDK_DISABLED": "true"}, False),
        ({**GRPC, "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_who_wants_traces(environment: dict[str, str], wanted: bool) -> None:
    assert tracing.is_wanted(environment) == wanted


def test_nothing_of_it_is_imported_otherwise() -> None:
    program = "import sys, facesvc.wsgi; sys.exit('opentelemetry' in sys.modules)"
    environment = {"PATH": "", "SECRET_KEY": "kq3v-8Zr1xNw5Yt0bLm7Hs2Gd9Fc4Pa6"}
    subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[3], env=environment, check=True
    )


def test_without_the_packages(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    tracing.start()
    assert "without the extra otel" in caplog.text
    assert tracing._tracer is None
