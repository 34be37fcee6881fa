"""docs/benchmarks.md, made of recorded.json: `python -m benchmarks.beside.page`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, starmap
from typing import Any

from benchmarks.beside import models, record
from benchmarks.service import PROJECT

PAGE = PROJECT / "docs" / "benchmarks.md"
Row = tuple[str, ...]
Figures = Mapping[str, Any]

_ABOVE = """\
# Benchmarks

Made by `make bench` and `make bench-service` (`ARGS=--record`) on {machine}. The code is in
[benchmarks/beside](../benchmarks/beside).

Believe the ratios, not the milliseconds: both sides of a ratio had the same pictures in the same
run, in turns, so a busy or slow machine changes both.

## In short

A *ratio* is facesvc's figure divided by the other side's. A ratio of CPU below 1 means that facesvc
takes less, and a ratio of requests a second above 1 that it answers more.

"""
_BESIDE = """
## What stands beside it

**The FastAPI server** ([peer.py](../benchmarks/beside/peer.py)) is what people would write
themselves: some sixty lines around the classes `SCRFD` and `ArcFaceONNX` of the package
`insightface`, with the gallery in a numpy array. It runs under uvicorn with uvloop. Both servers
have the same two networks, two processes, and one thread for an inference. facesvc computes its
rewritten form of them: on this processor the detector has integers of 8 bits. Both get the same
requests over connections that stay open, and do the same with a picture: decode, detect, align,
embed, compare. facesvc does more: it checks a token and its limits, judges the attempt, and writes
the attempt, the counters and the audit log to PostgreSQL. Its settings are those of a new
installation, and PostgreSQL's CPU counts as facesvc's.

**dlib** has the calls of the package `face_recognition` with its defaults: the HOG detector on a
picture of twice the size, five landmarks, and the embedding.

The gallery has nine faces. [sizing.md](sizing.md) measures the search in large ones.
"""
_CPU = """
## CPU of a request

The CPU time of all processes of a side, the database's included, for one request. Each figure is
the median of blocks of eight requests. Where a pack is named, its own networks stand beside those
of the FastAPI server; without a name, both have the same.

"""
_LOAD = """
## Requests a second

Every client sends its next request when it has the answer to the last one, and at once if it was
refused. *Refused* is the share of answers with 503: facesvc works on a few batches at a time and
refuses the others. Clients and servers share the cores.

"""
_PIPELINE = """
## A picture alone

The CPU time from the bytes of a picture to its embeddings, in one thread and without a server.
*verify* wants the main face alone, and *identify* all faces: in a large photo it also finds small
ones, which those beside it do not look for. The pack `dlib` stands beside dlib, the others beside
InsightFace's classes.

"""
_BELOW = """
## Measure it yourself

```sh
make bench             # a picture alone
make bench-service     # the two servers: ten minutes; ARGS=--quick for CPU alone
make bench-check       # a short run; it fails if a ratio is worse than the recorded one
```

`ARGS=--record` keeps the figures and writes this page. The photos come with the packages of the
tests. The two networks are no part of this repository, since they are for research only. Name a
folder that has them by `FACESVC_BENCH_MODELS`: {files}.
The pack `permissive` is fetched from its authors, unless a folder `permissive` in there has its
files. Without the two networks the commands say so and end.
"""
_LARGE = "identify, 12 megapixels"
_HEADS = (
    ("", "ratio", "facesvc", "beside it"),
    ("", "ratio", "facesvc, ms", "FastAPI server, ms"),
    ("clients", "ratio", "facesvc: a second, p50, p95, refused", "FastAPI server"),
    ("pack and picture", "ratio", "facesvc, ms", "beside it, ms"),
)


def render(recorded: Figures) -> str:
    service, pipeline = recorded.get("service", {}), recorded.get("pipeline", {})
    cpu, load = service.get("cpu", {}), service.get("load", {})
    alone = {f"{pack}: {case}": each for pack in pipeline for case, each in pipeline[pack].items()}
    tables = [
        _table(head, rows)
        for head, rows in zip(
            _HEADS,
            (
                _headlines(cpu, load, pipeline),
                starmap(_row, cpu.items()),
                _load_rows(load),
                starmap(_row, alone.items()),
            ),
            strict=True,
        )
    ]
    above = _ABOVE.format(machine=recorded.get("machine", "a machine that is not noted"))
    below = _BELOW.format(files=" and ".join(f"`{name}`" for name in models.FILES))
    texts = [above, _BESIDE + _CPU, _LOAD, _PIPELINE]
    return "".join(chain.from_iterable(zip(texts, tables, strict=True))) + below


def _headlines(cpu: Figures, load: Figures, pipeline: Figures) -> Iterator[Row]:
    """What matters most, as far as it was measured."""
    for case, each in cpu.items():
        if not case.startswith("dlib") and "batch" not in case:
            yield (f"CPU of {case}", f"**{each['ratio']:.2f}**", *_milliseconds(each))
    for case, by_clients in load.items():
        for clients, each in by_clients.items():
            if clients != "1" and case.startswith(("verify", "identify")):
                yield (
                    f"requests a second: {case}, {clients} clients",
                    f"**{_shown(each['ratio'])}**",
                    f"{each['facesvc']['a_second']:.1f}, {_refused(each['facesvc'])}",
                    f"{each['peer']['a_second']:.1f}, {_refused(each['peer'])}",
                )
    for case, each in pipeline.get("dlib", {}).items():
        if case.startswith("verify") and "no face" not in case:
            name = f"CPU of a picture with the pack dlib, beside dlib and face_recognition: {case}"
            yield (name, f"**{each['ratio']:.2f}**", *_milliseconds(each))
    for pack, cases in pipeline.items():
        if pack != "dlib" and (each := cases.get(_LARGE)):
            name = f"CPU of a picture with {pack}: {_LARGE}; facesvc alone looks for small faces"
            yield (name, f"**{each['ratio']:.2f}**", *_milliseconds(each))


def _row(name: str, each: Figures) -> Row:
    return (name, f"{each['ratio']:.2f}", f"{each['facesvc']:.1f}", f"{each['peer']:.1f}")


def _milliseconds(each: Figures) -> tuple[str, str]:
    return f"{each['facesvc']:.1f} ms", f"{each['peer']:.1f} ms"


def _load_rows(load: Figures) -> Iterator[Row]:
    for case, by_clients in load.items():
        for clients, each in by_clients.items():
            yield (
                f"{case}: {clients}",
                _shown(each["ratio"]),
                _clients_saw(each["facesvc"]),
                _clients_saw(each["peer"]),
            )


def _clients_saw(side: Figures) -> str:
    milliseconds = [f"{side[key]:.0f} ms" if side[key] else "-" for key in ("p50_ms", "p95_ms")]
    return ", ".join([f"{side['a_second']:.1f}", *milliseconds, f"{100 * side['refused']:.1f}%"])


def _refused(side: Figures) -> str:
    return f"{100 * side['refused']:.1f}% refused"


def _shown(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}"


def _table(head: Row, rows: Iterable[Row]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write() -> None:
    PAGE.write_text(render(record.load()))


if __name__ == "__main__":
    write()
