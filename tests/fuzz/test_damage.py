"""Bodies that once did damage: each comes to an end, is answered rightly, and leaves nothing.

`python -m tests.fuzz.damage NAME` sends one of them.
"""

import pytest

from tests.fuzz import damage

# A body of 15 MB left 385 MB, and eight of them 3 GB. What a few of them take stays with the
# allocator.
MOST_GROWTH_MB = 200

REFUSED = {
    "filling": ["truncated_image"],
    "filling and no marker": ["truncated_image"],
    "empty segments": ["invalid_image"],
    "every marker": ["invalid_image", "truncated_image", "unsupported_format"],
    "2,000 scans": ["invalid_image"],
    "300 MB behind the pixels": ["invalid_image"],
    "1,000 packed texts": ["decoded"],  # without the texts
}


@pytest.mark.slow
@pytest.mark.parametrize("name", damage.PICTURES)
def test_a_picture_comes_to_an_end(name: str) -> None:
    assert damage.run(name)["outcomes"] == REFUSED[name]


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", damage.BODIES)
def test_a_body_leaves_the_memory(name: str) -> None:
    report = damage.run(name)
    assert report["outcomes"] == [damage.BODIES[name][2]]
    assert report["last_mb"] < MOST_GROWTH_MB, report
