"""Risk rules, one by one, and their table in docs/risk.md."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recognition.verification import risk
from recognition.verification.providers import ANTISPOOFING, DEEPFAKE, Outcome
from recognition.verification.risk import RULES, Attempt, History

DOCS = Path(__file__).parents[3] / "docs" / "risk.md"
FINE = Attempt(confidence=0.95, threshold=0.85, quality_score=0.9, min_quality=0.6)
PASSED, FAILED, MISSING = Outcome("passed", 0.9), Outcome("failed", 0.1), Outcome("missing")
BOTH = frozenset((ANTISPOOFING, DEEPFAKE))


def test_it_works() -> None:
    assert risk.assess(FINE).as_json() == {"risk_level": "low", "factors": []}


@pytest.mark.parametrize(
    ("attempt", "history", "factors"),
    [
        ({"confidence": 0.85}, {}, ["score_near_threshold"]),
        ({"confidence": 0.887}, {}, ["score_near_threshold"]),
        ({"confidence": 0.888}, {}, []),
        ({"confidence": 0.84}, {}, []),  # no match at all
        ({"quality_score": 0.59}, {}, ["poor_quality"]),
        ({}, {"failures": 2}, []),
        ({}, {"failures": 3}, ["repeated_failures"]),
        ({}, {"is_replayed": True}, ["replayed_picture"]),
        ({}, {"is_new_device": True}, ["new_device"]),
        ({}, {"users_failed": 4}, []),
        ({}, {"users_failed": 5}, ["many_users_tried"]),
        ({}, {"is_unlike_face": True}, ["unlike_face"]),
        ({"checks": {ANTISPOOFING: PASSED, DEEPFAKE: PASSED}, "in_session": True}, {}, []),
        ({"checks": {ANTISPOOFING: FAILED}}, {}, ["liveness_failed"]),
        ({"checks": {ANTISPOOFING: MISSING}}, {}, ["liveness_missing", "check_unanswered"]),
        ({"checks": {ANTISPOOFING: MISSING}, "level": "basic"}, {}, ["liveness_missing"]),
        ({"checks": {DEEPFAKE: FAILED}}, {}, ["deepfake_suspected"]),
        ({"checks": {DEEPFAKE: MISSING}}, {}, ["deepfake_missing", "check_unanswered"]),
        # What nobody set up is missed in a session only, or where it is insisted on.
        ({"in_session": True}, {}, ["liveness_missing", "deepfake_missing"]),
        ({"insists_on": BOTH}, {}, ["liveness_missing", "deepfake_missing"]),
    ],
)
def test_rules(attempt: dict[str, Any], history: dict[str, Any], factors: list[str]) -> None:
    assert list(risk.assess(replace(FINE, **attempt), History(**history)).factors) == factors


@pytest.mark.parametrize(
    ("attempt", "history", "refused", "is_attack"),
    [
        ({"checks": {ANTISPOOFING: FAILED}, "level": "basic"}, {}, False, False),
        ({"checks": {ANTISPOOFING: FAILED}}, {}, True, True),
        ({"checks": {DEEPFAKE: FAILED}, "level": "strict"}, {}, True, True),
        ({"checks": {ANTISPOOFING: MISSING}}, {}, False, False),
        ({"checks": {ANTISPOOFING: MISSING}, "insists_on": BOTH}, {}, True, False),
        ({"checks": {ANTISPOOFING: MISSING}, "is_single_use": True}, {}, True, False),
        ({"checks": {ANTISPOOFING: PASSED}, "insists_on": BOTH}, {}, True, False),
        ({"is_single_use": True}, {"is_replayed": True}, True, True),
        ({}, {"is_replayed": True}, False, False),
        ({}, {"users_failed": 9}, True, False),
        ({"has_device": False}, {"users_failed": 9}, False, False),
        ({"has_device": False, "level": "strict"}, {"users_failed": 9}, True, False),
        ({}, {"is_unlike_face": True}, False, False),
        ({"level": "strict"}, {"is_unlike_face": True}, True, False),
        ({"confidence": 0.85, "quality_score": 0.1}, {"failures": 9}, False, False),
    ],
)
def test_refusals(
    attempt: dict[str, Any], history: dict[str, Any], refused: bool, is_attack: bool
) -> None:
    found = risk.assess(replace(FINE, **attempt), History(**history))
    assert (found.is_refused, found.is_attack) == (refused, is_attack)


def test_weights_make_the_level() -> None:
    levels = [
        risk.assess(replace(FINE, in_session=True)).risk_level,  # 25
        risk.assess(FINE, History(is_new_device=True)).risk_level,  # 30
        risk.assess(replace(FINE, confidence=0.85, quality_score=0)).risk_level,  # 70
    ]
    assert levels == ["low", "medium", "high"]


@pytest.mark.parametrize(
    ("level", "checks", "insisted"),
    [
        ("strict", ["antispoofing", "deepfake"], BOTH),
        ("strict", ["deepfake"], {DEEPFAKE}),
        ("strict", [], set()),
        ("standard", ["antispoofing"], set()),
    ],
)
def test_only_strict_insists(level: str, checks: list[str], insisted: set[str]) -> None:
    assert risk.insisted_on(level, checks) == insisted


def test_a_refusal_does_not_tell_beside_it_that_the_face_matches() -> None:
    fake = replace(FINE, level="strict", checks={ANTISPOOFING: FAILED})
    history = History(is_unlike_face=True)
    assert risk.assess(fake, history) == risk.assess(fake)
    alone = risk.assess(replace(FINE, level="strict"), history)
    assert alone.factors == ("unlike_face",) and "FACESVC_NEW_FACE_HOURS" in alone.explanation
    assert risk.assess(FINE, history).without_match().factors == ()


def test_strict_needs_a_measured_threshold() -> None:
    unsure = replace(FINE, is_provisional=True)
    assert risk.assess(unsure) == risk.assess(FINE)
    refused = risk.assess(replace(unsure, level="strict"))
    assert refused.is_refused and not refused.is_attack
    assert refused.factors == ("threshold_provisional",)
    assert "FACESVC_STRICT_PROVISIONAL" in refused.explanation


# At basic, standard and strict; at standard without a device; in a login session.
WHERE_REFUSED = {
    (False, False, False, False, False): "never",
    (False, True, True, True, False): "at standard and strict",
    (False, True, True, False, False): "at standard and strict; without a device at strict only",
    (False, False, True, False, False): "at strict",
    (False, False, False, False, True): "in login sessions",
}


def where_refused(rule: risk.Rule) -> str:
    """In words, from what the rule does."""
    attempts: list[dict[str, Any]] = [
        {"level": "basic"},
        {"level": "standard"},
        {"level": "strict", "insists_on": BOTH},
        {"level": "standard", "has_device": False},
        {"level": "basic", "is_single_use": True},
    ]
    return WHERE_REFUSED[tuple(rule.refuses(replace(FINE, **fields)) for fields in attempts)]


def test_the_docs_have_every_rule() -> None:
    rows = [
        f"| `{rule.name}` | {rule.weight} | {rule.meaning} | {where_refused(rule)} |"
        for rule in RULES
    ]
    table = [line for line in DOCS.read_text().splitlines() if line.startswith("| `")]
    assert table == rows, "the table of docs/risk.md should be:\n" + "\n".join(rows)
    assert f"{risk.MEDIUM} or more is medium, {risk.HIGH} or more is high" in DOCS.read_text()
