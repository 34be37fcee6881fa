"""The primary judges the people that a replica proposes: by the same rule, and with its own data.

A replica may propose somebody who has just been suspended, or whose face is deleted. Here nobody
passes who is not visible on the primary, and all that is shown of the others is computed there.
"""

import struct
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Self
from uuid import UUID

import numpy as np
import psycopg
from django.db.models import QuerySet
from psycopg.adapt import Dumper
from psycopg.pq import Format

from recognition.gallery import finding, statements
from recognition.gallery.finding import Found
from recognition.gallery.probe import SearchProbe
from recognition.gallery.scope import Gallery, Listed
from recognition.gallery.statements import Candidate, Vector, searching
from recognition.inference.arrays import Floats
from recognition.inference.pipeline import TEMPLATE_DIMENSIONS
from recognition.packs.scores import Threshold
from recognition.prepared import Statement, kept

# More people than are wanted, which a replica is asked for: who is dropped leaves no gap.
SPARE = 5

# Several faces of a picture are judged at once: `places` and `proposed` are pairs of a face and
# somebody who was proposed for it.
_JUDGE = """
WITH visible (user_id, face_id, embedding) AS MATERIALIZED ({visible}),
probe AS MATERIALIZED (
    SELECT place, (%s)[{size} * (place - 1) + 1 : {size} * place]::halfvec AS embedding
    FROM generate_series(1, %s) AS place
), compared AS (
    SELECT place, user_id, face_id, visible.embedding <#> probe.embedding AS distance
    FROM unnest(%s::int[], %s::uuid[]) AS proposed (place, user_id)
    JOIN visible USING (user_id) JOIN probe USING (place)
)
SELECT place, user_id, (array_agg(face_id ORDER BY distance))[1],
    min(distance), avg(distance), count(*)
FROM compared GROUP BY place, user_id
"""
_BLANKS = ("probes", "number of probes", "places", "proposed")


@dataclass(frozen=True)
class _Numbers:
    """Numbers as a parameter of a statement, real[], in binary: text takes several times as long
    as the search."""

    values: Floats

    @classmethod
    def of(cls, probes: Sequence[SearchProbe]) -> Self:
        """Those of the probes, one after the other."""
        return cls(np.concatenate([probe.template.astype(np.float16) for probe in probes]))


class _NumbersDumper(Dumper):
    """The format that PostgreSQL's array_recv reads: a header, then the length of each number and
    the number."""

    format, oid = Format.BINARY, psycopg.postgres.types["float4"].array_oid

    def dump(self, obj: _Numbers) -> bytes:
        number = np.dtype([("length", ">i4"), ("value", ">f4")])
        rows = np.empty(len(obj.values), number)
        rows["length"], rows["value"] = 4, obj.values
        of_one = psycopg.postgres.types["float4"].oid
        return struct.pack("!5i", 1, 0, of_one, len(rows), 1) + rows.tobytes()


psycopg.adapters.register_dumper(_Numbers, _NumbersDumper)


def judged(
    gallery: Gallery,
    probes: Sequence[SearchProbe],
    proposed: Sequence[Sequence[Found]],
    threshold: Threshold,
    *,
    by_user: bool,
) -> list[list[Found]]:
    """Those of the people proposed for each probe who reach the threshold, best first.

    Scores, nearest faces and numbers of faces are those of the database that is asked.
    """
    pairs = [(place, each.user_id) for place, found in enumerate(proposed, 1) for each in found]
    if not pairs:
        return [[] for _ in probes]
    values = gallery.values | {"users": list({user for _, user in pairs})}
    with searching():
        if len(probes) == 1:
            values["probe"] = Vector.of(probes[0].template)
            rows = [(1, *row) for row in _of_one_face(values, listed=gallery.listed)]
        else:
            rows = _statement(gallery.listed).rows(values | _filled(probes, pairs))
    of_pairs: dict[int, dict[UUID, Sequence[Any]]] = defaultdict(dict)
    for place, user, *rest in rows:
        of_pairs[place][user] = rest
    return [
        _reached(gallery, probe, found, of_pairs[place], threshold, by_user=by_user)
        for place, (probe, found) in enumerate(zip(probes, proposed, strict=True), 1)
    ]


@kept
def _of_one_face(*, listed: Listed) -> QuerySet[Any, Any]:
    """Takes a fifth less than the statement for several faces."""
    return statements.both_of_each_user(replace(listed, of_few=True).rows())


def _filled(probes: Sequence[SearchProbe], pairs: Sequence[tuple[int, UUID]]) -> dict[str, Any]:
    """What fills in _BLANKS."""
    return {
        "probes": _Numbers.of(probes),
        "number of probes": len(probes),
        "places": [place for place, _ in pairs],
        "proposed": [user for _, user in pairs],
    }


def _reached(
    gallery: Gallery,
    probe: SearchProbe,
    proposed: Sequence[Found],
    of_users: Mapping[UUID, Sequence[Any]],
    threshold: Threshold,
    *,
    by_user: bool,
) -> list[Found]:
    scores, visible = gallery.engine.scores, []
    faces: dict[UUID, int] = {}
    for each in proposed:  # whose order decides between equals
        if of_user := of_users.get(each.user_id):
            face_id, least, mean, faces[each.user_id] = of_user
            worth = probe.worth(scores, -(mean if by_user else least))
            visible.append(Candidate(each.user_id, face_id, worth))
    return finding.those_who_reach(scores, visible, faces, threshold, by_user=by_user)


@lru_cache(256)
def _statement(listed: Listed) -> Statement:
    columns = ("user_id", "template__face__face_id", "template__embedding")
    visible = Statement.of(replace(listed, of_few=True).rows().order_by().values_list(*columns))
    assert visible.text  # a search of nobody proposes nobody
    text = _JUDGE.format(visible=visible.text, size=TEMPLATE_DIMENSIONS)
    return replace(visible, text=text, blanks=[*visible.blanks, *_BLANKS], converters={})
