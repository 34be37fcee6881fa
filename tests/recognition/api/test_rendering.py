"""An answer that is declared once: `of` makes what REST framework would make of it."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from rest_framework import serializers as s
from rest_framework.utils.encoders import JSONEncoder

from recognition.api.rendering import (
    Always,
    Milliseconds,
    Rounded,
    Score,
    Scored,
    Serializer,
    TextOrNull,
)
from recognition.packs.scores import COARSE, ShownScores
from tests.support.builders import OWNER


class Inner(Serializer):
    name = s.CharField(source="title")


class Plain(Serializer):
    user_id = s.UUIDField(source="pk")
    other_id = s.UUIDField(allow_null=True)
    at = s.DateTimeField()
    inner = Inner()
    none = Inner(allow_null=True)
    itself = Inner(source="*")
    many = Inner(many=True, source="parts")
    part = s.CharField(source="inner.title")


def row(**more: Any) -> SimpleNamespace:
    part = SimpleNamespace(title="part")
    fields = {"pk": OWNER, "other_id": None, "none": None, "title": "row", "inner": part}
    at = datetime(2026, 1, 2, 3, 4, 5, 678, UTC)
    return SimpleNamespace(**fields, at=at, parts=[part, part], **more)


def as_json(value: Any) -> str:
    return json.dumps(value, cls=JSONEncoder)


def test_it_works() -> None:
    """The same text, and so the same order."""
    assert as_json(Plain.of(row())) == as_json(Plain(row()).data)
    assert Plain.of(row())["user_id"] == str(OWNER)


def test_each() -> None:
    assert Plain.each([row(), row()]) == [Plain.of(row())] * 2


def test_what_is_stored_as_json_stays_as_it_is() -> None:
    stored = {"name": "of a former version", "and": "more"}
    given = SimpleNamespace(**vars(row()) | {"inner": SimpleNamespace(title=""), "parts": [stored]})
    (kept,) = Plain.of(given)["many"]
    assert kept is stored


class WithScores(Scored):
    similarity_score = Score()
    confidence_score = Score()


SCALE: Any = SimpleNamespace(similarity=lambda cosine: cosine, confidence=lambda cosine: 0.8)


@pytest.mark.parametrize(("cosine", "shown"), [(0.5699, 0.56), (0.57, 0.57), (1.0, 1.0)])
def test_scores_are_rounded_down(cosine: float, shown: float) -> None:
    scored = WithScores.of(SimpleNamespace(cosine=cosine), ShownScores(SCALE, COARSE))
    assert scored == {"similarity_score": shown, "confidence_score": 0.8}


def test_no_cosine_is_shown_as_0() -> None:
    scored = WithScores.of(SimpleNamespace(cosine=None), ShownScores(SCALE))
    assert scored == {"similarity_score": 0.0, "confidence_score": 0.0}


class Others(Serializer):
    text = TextOrNull()
    status = Always("success")
    took = Milliseconds()
    share = Rounded(2, min_value=0, max_value=1)
    angle = Rounded(1)


def test_values_that_are_converted() -> None:
    given = SimpleNamespace(text="", took=0.0126, share=1.04, angle=-3.14)
    assert Others.of(given) == {
        "text": None,
        "status": "success",
        "took": 13,
        "share": 1.0,
        "angle": -3.1,
    }


def test_rounded_none_is_none() -> None:
    given = SimpleNamespace(text="a", took=0, share=None, angle=None)
    shown = Others.of(given)
    assert (shown["text"], shown["share"], shown["angle"]) == ("a", None, None)
