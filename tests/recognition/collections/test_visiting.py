"""Work in every collection."""

import pytest

from recognition.collections.current import CollectionGoneError, Entered, here
from recognition.collections.visiting import in_each

ALL = [Entered(number, f"c{number}") for number in range(1, 51)]


def test_it_works() -> None:
    """A task that is stopped too early does not always leave out the same ones."""
    seen: list[int] = []
    in_each(lambda: seen.append(here().number), among=lambda: [*ALL])
    numbers = [each.number for each in ALL]
    assert seen != numbers and sorted(seen) == numbers


def test_what_fails_in_one_is_raised_after_the_others() -> None:
    seen: list[int] = []

    def work() -> None:
        seen.append(here().number)
        if here().number == 7:
            raise ZeroDivisionError
        if here().number == 8:
            raise CollectionGoneError

    with pytest.raises(ZeroDivisionError):
        in_each(work, among=lambda: [*ALL])
    assert len(seen) == len(ALL)
