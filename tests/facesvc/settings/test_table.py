"""One declaration gives a setting's value, what is refused, and what the page says of it."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from environs import EnvError

from facesvc.settings.table import Setting, Topic, declared

NAME = "A_SETTING_OF_THIS_TEST"

topic = Topic("Some")


def test_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    assert topic.whole(NAME, 200_000).says("So many.") == 200_000
    monkeypatch.setenv(NAME, "3")
    assert topic.whole(NAME, 200_000).says("So many.") == 3
    for row in declared[-2:]:
        assert (row.name, row.kind, row.default, row.text) == (
            *(NAME, "whole number", "`200000`", "So many."),
        )


@pytest.mark.parametrize(
    ("declared", "value", "default"),
    [
        (lambda: topic.flag(NAME, False), False, "`false`"),
        (lambda: topic.text(NAME), "", ""),
        (lambda: topic.text(NAME, "b"), "b", "`b`"),
        (lambda: topic.number(NAME, 0.80), 0.8, "`0.8`"),
        (lambda: topic.texts(NAME), [], ""),
        (lambda: topic.texts(NAME, "b", "c"), ["b", "c"], "`b,c`"),
        (lambda: topic.wholes(NAME, [1], "one"), [1], "one"),
        (lambda: topic.whole(NAME, 2 * 3, shown="`6` or so"), 6, "`6` or so"),
        (lambda: topic.secret(NAME, "of others", "`B`"), "of others", "`B`"),
        (lambda: topic.secrets(NAME), [], ""),
    ],
)
def test_defaults(declared: Callable[[], Setting[Any]], value: Any, default: str) -> None:
    row = declared()
    assert (row.value, row.default) == (value, default)


@pytest.mark.parametrize(
    ("declared", "given", "says"),
    [
        (lambda: topic.whole(NAME, 1), "1.5", "integer"),
        (lambda: topic.number(NAME, 1), "a few", "number"),
        (lambda: topic.flag(NAME, True), "perhaps", "boolean"),
        (lambda: topic.wholes(NAME, [], ""), "1,a", "integer"),
        (lambda: topic.text(NAME, "b", ("b", "c")), "d", "one of: b, c"),
    ],
)
def test_a_value_of_another_type(
    monkeypatch: pytest.MonkeyPatch, declared: Callable[[], Any], given: str, says: str
) -> None:
    monkeypatch.setenv(NAME, given)
    with pytest.raises(EnvError, match=f"{NAME}.*{says}"):
        declared()


def refused(row: Setting[Any], **settings: float) -> str:
    return row.out_of_range(SimpleNamespace(**settings))


def test_ranges() -> None:
    assert refused(topic.whole("A", 1), A=-1) == ""
    row = topic.number("A", 1, (0.5, 2))
    assert [refused(row, A=value) for value in (0.5, 2)] == ["", ""]
    for value in (0.4, 2.1, float("nan")):
        assert refused(row, A=value) == "A must be from 0.5 to 2."


def test_a_range_that_follows_from_another_setting() -> None:
    row = topic.whole("A", 1, lambda settings: (1, 2 * settings.B))
    assert refused(row, A=6, B=3) == ""
    assert refused(row, A=6, B=2) == "A must be from 1 to 4."
