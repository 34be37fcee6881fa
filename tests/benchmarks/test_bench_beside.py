"""The benchmarks beside other servers: their arithmetic, their page, and that both sides answer."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.beside import (
    cases,
    check,
    measure,
    models,
    page,
    pictures,
    pipeline,
    record,
    service,
    sides,
)
from benchmarks.beside.measure import Load
from benchmarks.beside.processes import cpu_seconds
from benchmarks.beside.record import ratio_of
from benchmarks.load import Answer, Connection
from tests.support.patience import PATIENCE

MISSING = models.missing()


def load_of(a_second: float, refused: float = 0.0) -> dict[str, Any]:
    return {"a_second": a_second, "p50_ms": 40.0, "p95_ms": 60.0, "refused": refused}


def recorded() -> dict[str, Any]:
    both = {"facesvc": load_of(90.0, 0.012), "peer": load_of(30.0), "ratio": 3.0}
    return {
        "machine": "2 cores",
        "service": {
            "cpu": {"verify, 640 x 480": ratio_of(20, 60), "dlib: verify": ratio_of(30, 60)},
            "load": {"verify, 640 x 480": {"1": both, "4": both}},
        },
        "pipeline": {"dlib": {"verify, 640 x 480": ratio_of(21, 210)}},
    }


def test_it_works() -> None:
    shown = page.render(recorded()).splitlines()
    assert "| CPU of verify, 640 x 480 | **0.33** | 20.0 ms | 60.0 ms |" in shown
    row = "requests a second: verify, 640 x 480, 4 clients"
    assert f"| {row} | **3.00** | 90.0, 1.2% refused | 30.0, 0.0% refused |" in shown
    assert "| dlib: verify | 0.50 | 30.0 | 60.0 |" in shown
    assert "| dlib: verify, 640 x 480 | 0.10 | 21.0 | 210.0 |" in shown
    row = "verify, 640 x 480: 1 | 3.00 | 90.0, 40 ms, 60 ms, 1.2% | 30.0, 40 ms, 60 ms, 0.0%"
    assert f"| {row} |" in shown


def test_the_page_is_made_of_what_is_recorded() -> None:
    """After a change of the text: python -m benchmarks.beside.page."""
    assert page.PAGE.read_text() == page.render(record.load())


def test_what_was_not_measured_is_left_out() -> None:
    assert "| CPU of" not in page.render({"pipeline": {}})


def test_all_ratios_have_a_name() -> None:
    assert {name: ratio.is_cost for name, ratio in record.ratios(recorded()).items()} == {
        "service, verify, 640 x 480": True,
        "service, dlib: verify": True,
        "service, verify, 640 x 480, requests a second with 1 clients": False,
        "service, verify, 640 x 480, requests a second with 4 clients": False,
        "pipeline, dlib, verify, 640 x 480": True,
    }


@pytest.mark.parametrize(
    ("cpu", "rate", "expected"),
    [
        (0.333, 3.0, []),
        (0.333 * 1.2, 3 / 1.4, []),
        (0.1, 9.0, []),
        (0.45, 3.0, ["service, verify, 640 x 480: 0.45 now, 0.333 recorded"]),
        (
            0.333,
            1.9,
            ["service, verify, 640 x 480, requests a second with 4 clients: 1.9 now, 3.0 recorded"],
        ),
    ],
)
def test_a_ratio_that_got_worse_is_named(cpu: float, rate: float, expected: list[str]) -> None:
    measured = recorded()["service"]
    measured["cpu"]["verify, 640 x 480"]["ratio"] = cpu
    measured["load"]["verify, 640 x 480"]["4"] = {"ratio": rate}
    assert record.worse(recorded(), {"service": measured}) == expected


def test_what_only_one_run_has_is_not_compared() -> None:
    measured = {"pipeline": {"permissive": {"verify, 640 x 480": ratio_of(9, 1)}}}
    assert record.worse(recorded(), measured) == []
    assert record.worse({}, recorded()) == []


def test_a_check_passes_only_what_it_compared(capsys: pytest.CaptureFixture[str]) -> None:
    assert check.report(recorded(), {"service": recorded()["service"]}) == 0
    assert capsys.readouterr().out == "No ratio got worse.\n"
    assert check.report({}, {"pipeline": recorded()["pipeline"]}) == 1
    assert capsys.readouterr().out == "NOT RECORDED: pipeline, dlib, verify, 640 x 480\n"


def test_recording_a_part_keeps_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "RECORDED", tmp_path / "recorded.json")
    monkeypatch.setattr(page, "PAGE", tmp_path / "benchmarks.md")
    for part in ("service", "pipeline"):
        options = pipeline.parser().parse_args(["--record"])
        assert record.finish(part, recorded()[part], options) == 0
    kept = json.loads((tmp_path / "recorded.json").read_text())
    assert kept == recorded() | {"machine": record.machine()}
    assert "**0.33**" in (tmp_path / "benchmarks.md").read_text()


def test_a_part_of_a_run_is_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would replace all figures of the whole one."""
    monkeypatch.setattr(sys, "argv", ["bench", "--record", "--json=here"])
    assert record.parsed(service.parser()).record
    monkeypatch.setattr(sys, "argv", ["bench", "--record", "--quick"])
    with pytest.raises(SystemExit):
        record.parsed(service.parser())


def test_refusals_count_for_no_rate() -> None:
    answers = [Answer(200, 0.1, None), Answer(200, 0.3, None), Answer(503, 0.001, 1.0)]
    summary = Load(2.0, 0.5, answers, [1.0, 2.0, 9.0]).summary()
    assert (summary["a_second"], summary["p50_ms"]) == (2.0, 200.0)
    assert (summary["cpu_ms"], summary["cores"]) == (250.0, 0.25)
    assert summary["refused"] == pytest.approx(1 / 3, abs=1e-4)
    assert summary["statuses"] == {"200": 2, "503": 1}


def test_a_load_that_got_nothing_is_shown() -> None:
    figures = recorded()
    nothing = Load(1.0, 0.5, [Answer(503, 0.001, 1.0)], [0.0]).summary()
    both = {"facesvc": load_of(1.0), "peer": nothing, "ratio": None}
    figures["service"]["load"] = {"verify, 640 x 480": {"4": both}}
    assert "| 0.0, -, -, 100.0% |" in page.render(figures)
    assert not [name for name in record.ratios(figures) if "requests a second" in name]


def test_children_that_have_ended_are_counted() -> None:
    """A child of the child spends CPU and ends; the child waits for input."""
    spend = "sum(range(5_000_000))"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {spend!r}]); input()"
    child = subprocess.Popen(
        [sys.executable, "-c", f"print(flush=True); input(); {code}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    process = psutil.Process(child.pid)
    assert child.stdin and child.stdout
    child.stdout.readline()
    before = cpu_seconds([process])
    child.stdin.write(b"\n\n")
    child.stdin.close()
    child.wait(PATIENCE)
    assert 0 < before < os.times().children_user + os.times().children_system


def test_answers_in_chunks_leave_the_connection_open() -> None:
    """That is how the service refuses what it has no room for."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            head = b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\nRetry-After: 5\r\n\r\n"
            writer.write(head + b"4\r\nbusy\r\n2\r\n!!\r\n0\r\n\r\n")

    async def ask_twice() -> list[Answer]:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        connection = Connection(server.sockets[0].getsockname()[1])
        async with asyncio.timeout(PATIENCE):
            answers = [await connection.ask(b"GET / HTTP/1.1\r\n\r\n") for _ in range(2)]
        connection.close()
        server.close()
        return answers

    assert [(each.status, each.retry_after) for each in asyncio.run(ask_twice())] == [(503, 5)] * 2


def test_the_two_sides_take_turns() -> None:
    seen: list[str] = []

    def work(side: str) -> pipeline.Work:
        return lambda image: seen.append(side + image.decode()) or 1  # type: ignore[func-returns-value]

    pipeline.in_turns(work("a"), work("b"), [b"1", b"2"], rounds=3)
    assert seen == ["a1", "b1", "a2", "b2", "a1", "b1"]


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACESVC_BENCH_MODELS", str(tmp_path))
    monkeypatch.setattr(models, "PACKAGES", ())
    assert f"{models.FILES[0]} and no {models.FILES[1]} in {tmp_path}" in models.missing()
    for name in models.FILES:
        (tmp_path / name).touch()
    assert models.missing() == ""
    monkeypatch.setattr(models, "PACKAGES", ("no_such_package",))
    assert "no_such_package" in models.missing()


@pytest.mark.slow
@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_both_sides_answer_the_same() -> None:
    """One request of each case to each side, and one block of what is measured."""
    with sides.peer() as peer, sides.product() as product:
        every = cases.all_cases()
        for case in every.values():
            cases.require_same(case, (product, peer))
        product.newcomers.append(pictures.person("refused"))
        taken = measure.cpu_of_requests(every["register"], (product, peer), rounds=1)
        assert min(taken["facesvc"] + taken["peer"]) > 0
        seen = measure.load(every["frame of a call"], (product, peer), 2, seconds=1, rounds=1)
        assert {answer.status for load in seen.values() for answer in load.answers} == {200}


@pytest.mark.slow
@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_a_picture_alone_is_measured() -> None:
    options = ["--packs", "dlib", "--cases", "verify, 250", "--rounds=1"]
    figures = pipeline.run(pipeline.parser().parse_args(options))
    measured = figures["dlib"]["verify, 250 x 250"]
    assert measured["ratio"] == pytest.approx(measured["facesvc"] / measured["peer"], abs=0.01)
