"""The benchmark of the search: its reference and its measures are right, and the product passes."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from itertools import count
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest

from benchmarks.search import measure
from benchmarks.search.__main__ import check_disk, parse
from benchmarks.search.peers.base import condition
from benchmarks.search.people import (
    Case,
    Gallery,
    case_of_the_grown,
    cases,
    cases_of_growth,
)
from benchmarks.search.reference import Cut, answer, best_of_each_person, recall
from benchmarks.search.results import page, sizing
from benchmarks.search.runner import Effort, measure_gallery
from benchmarks.service import PROJECT
from benchmarks.templates import Numbers
from tests.support.patience import PATIENCE

ANYBODY = Cut("nearest 10", -1)


@pytest.fixture(scope="module")
def gallery() -> Gallery:
    return Gallery.draw(600, seed=1)


def case_named(name: str) -> Case:
    return next(case for case in cases() if case.name == name)


def test_a_gallery_has_as_many_templates_as_asked_for(gallery: Gallery) -> None:
    assert gallery.vectors.shape == (600, 512) and gallery.vectors.dtype == np.float16
    assert sorted(gallery.ranks) == pytest.approx(np.arange(gallery.size) / gallery.size)


def test_a_gallery_is_found_again_in_a_larger_one(gallery: Gallery) -> None:
    small = gallery.first(200)
    assert small.vectors.shape == (200, 512) and small.size == small.people[-1] + 1
    drawn = Gallery.draw(200, seed=1)
    assert np.array_equal(small.vectors, drawn.vectors)
    assert gallery.privacy(0.3)[: small.size] == small.privacy(0.3)


def test_who_may_be_found(gallery: Gallery) -> None:
    assert gallery.allowed(case_named("public 1")).rows.all()
    tenth = gallery.allowed(case_named("public 0.1"))
    assert tenth.flags.mean() == pytest.approx(0.1, abs=0.01)
    assert np.array_equal(tenth.rows, tenth.flags[gallery.people])
    assert gallery.allowed(case_named("public 0.0001")).flags.sum() == 1
    friends = gallery.allowed(case_named("20 friends"))
    private = np.array([level == "private" for level in gallery.privacy(0.3)])
    expected = set(gallery.friends(20)) - set(np.flatnonzero(private))
    assert set(np.flatnonzero(friends.flags)) == expected
    everything = gallery.allowed(case_named("whole rule"))
    assert not everything.flags[private].any()
    assert everything.flags[[p for p in gallery.members() if not private[p]]].all()


def test_an_administrator_finds_everyone(gallery: Gallery) -> None:
    everyone = next(case for case in cases_of_growth() if case.everyone)
    assert gallery.allowed(everyone).flags.all()
    assert gallery.allowed(case_of_the_grown()).flags.all()


def test_the_reference_finds_what_a_loop_finds(gallery: Gallery) -> None:
    allowed = gallery.allowed(case_named("public 0.5"))
    probes, whose = gallery.probes(allowed, 8)
    right = answer(gallery, allowed, probes)
    assert (whose[:6] >= 0).all() and (whose[6:] == -1).all()
    assert allowed.flags[whose[:6]].all()
    for number, probe in enumerate(probes):
        best: dict[int, float] = {}
        for row in np.flatnonzero(allowed.rows):
            cosine = float(gallery.vectors[row].astype(np.float32) @ probe)
            person = int(gallery.people[row])
            best[person] = max(best.get(person, -1), cosine)
        expected = sorted(best, key=lambda person: -best[person])[:10]
        assert right.shown(number, ANYBODY) == expected
        above = [person for person in expected if best[person] >= 0.1][:3]
        assert right.shown(number, Cut("three", 0.1, 3)) == above


def test_nobody_is_shown_who_may_not_be_found(gallery: Gallery) -> None:
    allowed = gallery.allowed(case_named("public 0.0001"))
    right = answer(gallery, allowed, gallery.probes(allowed, 4)[0])
    only = int(np.flatnonzero(allowed.flags)[0])
    assert [right.shown(number, ANYBODY) for number in range(4)] == [[only]] * 4


def test_the_best_face_of_a_person_counts(gallery: Gallery) -> None:
    probes = gallery.vectors[:50].astype(np.float32)
    best = best_of_each_person(gallery, probes)
    assert np.allclose(best[np.arange(50), gallery.people[:50]], 1, atol=1e-2)


def test_recall_counts_what_should_have_been_found(gallery: Gallery) -> None:
    allowed = gallery.allowed(case_named("public 1"))
    probes, whose = gallery.probes(allowed, 4)
    right = answer(gallery, allowed, probes)
    everything = [right.shown(number, ANYBODY) for number in range(4)]
    assert recall(right, everything, whose, ANYBODY).shown == 1
    half = [people[:5] for people in everything]
    assert recall(right, half, whose, ANYBODY).shown == 0.5
    none: list[list[int]] = [[]] * 4
    assert recall(right, none, whose, ANYBODY).mates == 0
    assert recall(right, none, whose, Cut("too strict", 1.1)).shown is None


def test_filters_of_other_stores_say_the_same(gallery: Gallery) -> None:
    def rows_where(expression: str) -> Numbers:
        people, ranks = gallery.people, gallery.ranks[gallery.people]
        rows = zip(people.tolist(), ranks.tolist(), strict=True)
        found = [eval(expression, {"person": person, "rank": rank}) for person, rank in rows]
        return np.flatnonzero(found)

    for case in cases():
        allowed = gallery.allowed(case)
        expression = condition(allowed, "person in [{}]")
        assert bool(expression) is (case.name != "public 1")
        if expression:
            assert np.array_equal(rows_where(expression), np.flatnonzero(allowed.rows)), case.name


def test_throughput_counts_all_clients() -> None:
    left: list[int] = []
    calls, together = count(), Barrier(4)

    def search(probe: int) -> list[int]:
        if next(calls) < 4:
            together.wait(PATIENCE)  # breaks unless they are four at a time
        time.sleep(0.01)
        return []

    rate = measure.throughput(search, 5, 4, seconds=0.3, leave=lambda: left.append(1))
    assert 0 < rate <= 400
    assert len(left) == 4


def test_insertions_end_and_pass_errors_on() -> None:
    done: list[int] = []
    inserting = measure.Insertions(done.append, 50, lambda: done.append(-1))
    inserting.run_for(0.2)
    assert done == [*range(50), -1] and inserting.done == 50

    def refuse(number: int) -> None:
        raise ValueError("full")

    with pytest.raises(ValueError, match="full"):
        measure.Insertions(refuse, 50, lambda: None).run_for(0.05)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("pack", ["scrfd-arcface", "dlib"])  # without a cohort, and with one
def test_the_product_finds_everybody_in_a_small_gallery(
    pack: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks.search import product
    from benchmarks.search.results import report
    from benchmarks.search.systems import Product

    active = product.open_engine(pack)
    gallery = Gallery.draw(600, seed=1, **product.drawn_like(active.pack))
    effort = Effort(
        probes=8, point=1, clients=0.05, deadline=time.monotonic() + 300, plans=True,
        cuts=("default", "no FPR cut"), pack=pack, cases=tuple(cases()),
    )  # fmt: skip
    results = {"galleries": [measure_gallery(gallery, [Product(active)], effort)]}
    (measured,) = results["galleries"]
    assert not measured["skipped"]
    assert {row["case"] for row in measured["searches"]} == {case.name for case in cases()}
    assert all(row["shown_found"] in (1, None) for row in measured["searches"])
    assert all(row["cpu_ms"] > 0 for row in measured["searches"])
    assert all(set(row["plans"]) == set(product.PLANS) for row in measured["plans"])
    assert measured["insertions"][0]["alone_a_second"] > 0
    report.print_gallery(measured)
    assert "whole rule" in capsys.readouterr().out
    report.write_json(results, tmp_path / "results.json")
    assert "| 600 |" in sizing.tables(tmp_path / "results.json")
    assert json.loads((tmp_path / "results.json").read_text()) == results


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_product_finds_everybody_while_its_gallery_grows(tmp_path: Path) -> None:
    from benchmarks.search import product
    from benchmarks.search.systems import GrowingProduct

    active = product.open_engine()
    whole = Gallery.draw(600, seed=1, **product.drawn_like(active.pack))
    growing = GrowingProduct(active, hnsw=False)
    effort = Effort(
        probes=8, point=1, clients=0.05, deadline=time.monotonic() + 300, plans=True,
        cuts=("default", "no FPR cut"), pack="scrfd-arcface", insertions=False,
        cases=(*cases_of_growth(), case_of_the_grown()),
    )  # fmt: skip
    small = measure_gallery(whole.first(300), [growing], replace(effort, cases=effort.cases[:-1]))
    results = {"galleries": [small, measure_gallery(whole, [growing], effort)]}
    for measured, searches in zip(results["galleries"], (10, 12), strict=True):
        assert not measured["skipped"] and len(measured["searches"]) == searches
        assert all(row["shown_found"] in (1, None) for row in measured["searches"])
        assert all(row["web_cpu_ms"] > 0 for row in measured["searches"])
        assert all("graph" not in row["plans"] for row in measured["plans"])
    recorded = page.load() | {"growth": page.recorded_growth(results)}
    assert len(page.fill(page.PAGE.read_text(), recorded).splitlines()) > 100
    assert "the whole rule" in page.picture(recorded)


@pytest.mark.slow
def test_a_replica_answers_as_one_database(tmp_path: Path) -> None:
    found = tmp_path / "replica.json"
    command = [sys.executable, "-m", "benchmarks.search", "--replica", "--galleries", "600"]
    ended = subprocess.run(
        [*command, "--probes", "4", "--json", str(found)], cwd=PROJECT, capture_output=True
    )
    assert ended.returncode == 0, ended.stderr.decode()
    heading, *lines = ended.stdout.decode().splitlines()
    assert heading == "CPU ms of a search, medians"
    assert len(lines) == 4 * len(cases_of_growth())
    assert all(line.endswith("; 4 of 4 answers are the same") for line in lines)
    rows = json.loads(found.read_text())["searches"]
    kinds = {(row["case"], row["cut"], row["by_user"]) for row in rows}
    assert len(rows) == len(kinds) == 4 * len(cases_of_growth())
    assert all(row["same"] == row["searches"] == 4 for row in rows)
    assert all(row["replica"][of] > 0 for row in rows for of in ("primary", "replica", "web"))


# --- docs/sizing.md -------------------------------------------------------------------------------


def test_the_page_and_its_picture_are_made_of_what_is_recorded() -> None:
    """After a change of the text: python -m benchmarks.search.results.page."""
    assert page.PAGE.read_text() == page.fill(page.PAGE.read_text(), page.load())
    assert page.CHART.read_text() == page.picture(page.load())


def growth_of(templates: int, ms: float) -> dict[str, Any]:
    one = {
        "setting": "public", "cpu_ms": ms, "web_cpu_ms": 1.0, "mates_found": 1.0,
        "shown_found": 0.998, "ratio_to_best": 1.02,
    }  # fmt: skip
    found = dict.fromkeys([case.name for case in cases_of_growth()], one)
    return {
        "templates": templates, "strangers_that_match": 0.012, "bytes": templates * 2000,
        "read_bytes": templates * 1500, "searches": {"default": found, "no FPR cut": found},
    }  # fmt: skip


def test_the_page_shows_what_was_measured_and_what_follows_from_it() -> None:
    marks = (
        f"<!-- bench-search: {name} -->\n<!-- end -->" for name in ("default", "found", "machines")
    )
    recorded = {"growth": [growth_of(300_000, 10.0), growth_of(1_000_000, 31.0)]}
    shown = page.fill("\n".join(marks), recorded).splitlines()
    assert "| whole rule | 10.0 PUBLIC | 31.0 PUBLIC |" in shown
    assert "| 1,000,000 | 1.000 | 0.998 | 0.998 | 1.02 | 1.2% |" in shown
    row = "1,000,000 | measured | 2.0 GB | 1.5 GB | 31.0 ms | 32.3 | 31.0 ms | 32.3"
    assert f"| {row} |" in shown
    row = "3,000,000 | extrapolated | 6.0 GB | 4.5 GB | 91.0 ms | 11.0 | 91.0 ms | 11.0"
    assert f"| {row} |" in shown


def test_so_few_probes_that_none_is_a_stranger(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["benchmarks.search", "--replica", "--probes", "2"])
    with pytest.raises(SystemExit):
        parse()
    assert "--probes has to be 3 or more" in capsys.readouterr().err


def test_a_disk_that_is_too_small_is_refused(tmp_path: Path) -> None:
    check_disk(tmp_path, 1)
    with pytest.raises(SystemExit, match="name another folder by TMPDIR"):
        check_disk(tmp_path, 10**12)
