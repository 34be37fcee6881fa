"""What is measured, in which order, until the time is up."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.search import measure, product
from benchmarks.search.people import Allowed, Case, Gallery
from benchmarks.search.reference import Answers, Cut, Recall, answer, recall, share_that_matches
from benchmarks.search.systems import Product, System, built
from benchmarks.templates import Floats, Numbers

# A system's cheapest setting that finds so much of what should be shown counts.
ENOUGH = 0.99
CLIENTS = (1, 2, 8)
_NEWCOMERS = 5000
# Whose photos are searched for in a gallery without them, by the reference.
_STRANGERS = 2000


@dataclass(frozen=True)
class Effort:
    """How much time the run may take. Times are in seconds."""

    probes: int
    point: float  # for one system, case, cut and setting
    clients: float  # for one number of clients; also for insertions
    deadline: float  # of the whole run, as time.monotonic counts
    plans: bool
    cuts: tuple[str, ...]
    pack: str
    cases: tuple[Case, ...]  # the last one with everybody in it
    insertions: bool = True

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self.deadline


@dataclass(frozen=True)
class Searches:
    """One kind of search with its right answers."""

    case: Case
    allowed: Allowed
    cuts: list[Cut]
    probes: Floats
    whose: Numbers
    right: Answers


Row = dict[str, Any]


class Run:
    """The measurements of one gallery."""

    def __init__(self, gallery: Gallery, effort: Effort) -> None:
        self._gallery, self._effort = gallery, effort
        self.builds: dict[str, Row] = {}
        self.searches: list[Row] = []
        self.plans: list[Row] = []
        self.clients: list[Row] = []
        self.inserts: list[Row] = []
        self.skipped: list[str] = []
        self._kinds: dict[str, Searches] = {}

    def measure(self, system: System) -> None:
        if self._effort.is_over:
            self.skipped.append(f"{system.name}: no time left")
            return
        print(f"  {system.name}: building", flush=True)
        with built(system, self._gallery) as figures:
            self.builds[system.name] = figures
            for case in self._effort.cases:
                self._measure_case(system, case)
            if self._effort.insertions:
                self._measure_insertions(system)

    def _measure_case(self, system: System, case: Case) -> None:
        if self._effort.is_over:
            self.skipped.append(f"{system.name}, {case.name}: no time left")
            return
        print(f"  {system.name}: {case.name}", flush=True)
        system.enter(case)
        kind = self._kind(case)
        if isinstance(system, Product):
            self._check(system, kind)
        best = [self._best(system, kind, cut) for cut in kind.cuts]
        self.searches += [row for row, _ in best]
        if isinstance(system, Product) and self._effort.plans:
            self._compare_plans(system, kind)
        if case.popular:
            self._measure_clients(system, kind, best[0][1])

    def _kind(self, case: Case) -> Searches:
        """The same probes and right answers for all systems."""
        if case.name not in self._kinds:
            allowed = self._gallery.allowed(case)
            probes, whose = self._gallery.probes(allowed, self._effort.probes)
            cuts = product.cuts(product.open_engine(self._effort.pack), int(allowed.rows.sum()))
            cuts = [cut for cut in cuts if cut.name in self._effort.cuts]
            right = answer(self._gallery, allowed, probes)
            self._kinds[case.name] = Searches(case, allowed, cuts, probes, whose, right)
        return self._kinds[case.name]

    @staticmethod
    def _check(system: Product, kind: Searches) -> None:
        """The product and the reference must agree on who may be found, or nothing is right."""
        expected, found = int(kind.allowed.rows.sum()), system.searched(kind.case)
        if found != expected:
            raise RuntimeError(f"{kind.case.name}: {found} templates are visible, not {expected}")

    def _best(self, system: System, kind: Searches, cut: Cut) -> tuple[Row, Any]:
        """The cheapest setting that finds enough, or else the one that finds most."""
        tried: list[tuple[float, Row, Any]] = []
        for knob in system.knobs:
            row, score = self._row(system, kind, cut, knob)
            tried.append((score, row, knob))
            if score >= ENOUGH:
                break
        enough = [one for one in tried if one[0] >= ENOUGH]
        _, row, knob = enough[0] if enough else max(tried, key=lambda one: one[0])
        return row, knob

    def _row(self, system: System, kind: Searches, cut: Cut, knob: Any) -> tuple[Row, float]:
        timing = self._time(system, kind, cut, knob)
        right: Recall = recall(kind.right, timing.found, kind.whose, cut)
        row = {
            **{"system": system.name, "case": kind.case.name, "cut": cut.name},
            **{"cosine": round(cut.cosine, 4), "setting": system.describe(knob)},
            **{"allowed": int(kind.allowed.rows.sum()), "mates_found": right.mates},
            **{"shown_found": right.shown, **timing.row()},
        }
        return row, 1.0 if right.shown is None else right.shown

    def _time(self, system: System, kind: Searches, cut: Cut, knob: Any) -> measure.Timing:
        search = system.searching(kind.case, kind.allowed, cut, kind.probes, knob)
        search(0)  # connects, before the clocks look for the connection
        workers = system.workers_clock()
        before = workers()
        timing = measure.run(
            search, len(kind.probes), system.clock(),
            seconds=self._effort.point, beside=system.beside(),
        )  # fmt: skip
        timing.workers_ms = (workers() - before) * 1000
        return timing

    def _compare_plans(self, system: Product, kind: Searches) -> None:
        """Every plan by force: is the chosen one nearly as cheap as the best that finds enough?"""
        for cut in kind.cuts[:2]:
            possible = system.possible_plans(kind.case, cut, kind.probes[0])
            searches = {
                plan: system.searching(kind.case, kind.allowed, cut, kind.probes, plan)
                for plan in (None, *possible)
            }
            timings = measure.in_turns(
                searches, len(kind.probes), system.clock(), seconds=self._effort.point
            )
            cpu_ms = {plan: timing.row()["cpu_ms"] for plan, timing in timings.items()}
            found = {
                plan: recall(kind.right, timing.found, kind.whose, cut).shown
                for plan, timing in timings.items()
            }
            good = [plan for plan in possible if found[plan] is None or found[plan] >= ENOUGH]
            best = min((cpu_ms[plan] for plan in good), default=None)
            self.plans.append({
                **{"case": kind.case.name, "cut": cut.name, "chosen_cpu_ms": cpu_ms[None]},
                "plans": {
                    plan: {"cpu_ms": cpu_ms[plan], "shown_found": found[plan]}
                    for plan in possible
                },
                "ratio_to_best": round(cpu_ms[None] / best, 2) if best else None,
            })  # fmt: skip

    def _measure_clients(self, system: System, kind: Searches, knob: Any) -> None:
        search = system.searching(kind.case, kind.allowed, kind.cuts[0], kind.probes, knob)
        rates = {
            str(clients): round(
                measure.throughput(
                    search, len(kind.probes), clients,
                    seconds=self._effort.clients, leave=system.leave_thread,
                ), 1,
            )
            for clients in CLIENTS
        }  # fmt: skip
        self.clients.append({
            **{"system": system.name, "case": kind.case.name, "cut": kind.cuts[0].name},
            "searches_a_second": rates,
        })  # fmt: skip

    def _measure_insertions(self, system: System) -> None:
        """Alone, and while everybody is searched with the setting of that case."""
        if self._effort.is_over:
            self.skipped.append(f"{system.name}, insertions: no time left")
            return
        everybody = self._effort.cases[-1]
        kind, vectors = self._kind(everybody), self._gallery.newcomers(2 * _NEWCOMERS)
        system.enter(everybody)
        insert = measure.Insertions(
            lambda number: system.insert(number, vectors[number]), _NEWCOMERS, system.leave_thread
        )
        insert.run_for(self._effort.clients)
        done = insert.done
        knob = self._best(system, kind, kind.cuts[0])[1]
        meanwhile = measure.Insertions(
            lambda number: system.insert(done + number, vectors[done + number]),
            _NEWCOMERS,
            system.leave_thread,
        )
        with meanwhile.running():
            timing = self._time(system, kind, kind.cuts[0], knob)
        self.inserts.append({
            "system": system.name,
            "alone_a_second": round(insert.rate, 1),
            "meanwhile_a_second": round(meanwhile.rate, 1),
            **{f"search_{name}": timing.row()[name] for name in ("p50_ms", "p95_ms")},
        })  # fmt: skip

    def report(self) -> Row:
        everybody = self._kind(self._effort.cases[-1]).cuts[0]
        return {
            "templates": len(self._gallery.people),
            "people": self._gallery.size,
            "strangers_that_match": share_that_matches(self._gallery, everybody, _STRANGERS),
            "builds": self.builds,
            "searches": self.searches,
            "plans": self.plans,
            "clients": self.clients,
            "insertions": self.inserts,
            "skipped": self.skipped,
        }


def measure_gallery(gallery: Gallery, systems: Sequence[System], effort: Effort) -> Row:
    run = Run(gallery, effort)
    for system in systems:
        run.measure(system)
    return run.report()
