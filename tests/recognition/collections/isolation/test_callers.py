"""What a caller does in one collection counts in no other one, whatever they have in common."""

from typing import Any

import pytest
from django.test import Client

from recognition.collections.current import DEFAULT, Entered, entered
from tests.support.builders import (
    OWNER,
    STRANGER,
    Person,
    data_of,
    make_face,
    make_user,
    refusal,
    vector,
)
from tests.support.collections.callers import service_of

pytestmark = pytest.mark.django_db
LISTS = ("users", "faces", f"users/{OWNER}/faces")


@pytest.fixture
def callers(places: list[Entered]) -> list[Person]:
    """A service of the same name in each collection, where the same user has two faces."""
    for place in places:
        with entered(place):
            user = make_user(OWNER)
            for number in (1, 2):
                make_face(user, vector(number), face_id=f"face_{number:012x}")
    return [service_of(place, Client()) for place in places]


@pytest.mark.parametrize("path", LISTS)
def test_a_cursor_is_of_one_collection(callers: list[Person], path: str, fake: Any) -> None:
    """Its position counts the rows there."""
    with entered(DEFAULT):
        make_user(STRANGER)  # so that a page of one user is not the last
    cursor = data_of(callers[0].get(path, page_size=1))["next_cursor"]
    assert cursor and callers[0].get(path, cursor=cursor).status_code == 200
    for other in callers[1:]:
        assert refusal(other.get(path, cursor=cursor)) == (400, "invalid_cursor")
