"""The sentence that stands for all that is wrong with the fields of a request."""

from typing import Any

import pytest

from recognition.errors import first_reason


def test_it_works() -> None:
    assert first_reason({"user_id": ["It is no text."], "purpose": ["No."]}) == (
        "user_id: It is no text."
    )


@pytest.mark.parametrize(
    ("detail", "sentence"),
    [
        (["It is no list."], "It is no list."),
        ({"non_field_errors": ["Both disagree."]}, "Both disagree."),
        ({"images": {3: {"user_id": ["It is empty."]}}}, "images.3.user_id: It is empty."),
        ({"faces": [{}, {"user_id": ["It is empty."]}]}, "faces.1.user_id: It is empty."),
    ],
)
def test_places_are_named(detail: Any, sentence: str) -> None:
    assert first_reason(detail) == sentence
