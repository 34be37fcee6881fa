"""People who are not enrolled match somebody as rarely as was asked for.

A small part of `python -m benchmarks.open_set`, which has galleries of up to 100,000 faces.
"""

from collections.abc import Sequence
from uuid import UUID

import numpy as np
import pytest

from benchmarks.open_set import RATES, rows_of
from recognition.gallery import plans
from recognition.gallery.scope import Gallery, Scope
from recognition.gallery.statements import searching
from recognition.inference.arrays import Floats
from recognition.measuring.folders import EmbeddedFolder
from recognition.models import User
from tests.conftest import LFW_PEOPLE
from tests.support.builders import fake_engine, make_templates
from tests.support.photos import needs_shared

ENROLLED = 50


@pytest.mark.slow
@needs_shared
@pytest.mark.django_db
@pytest.mark.parametrize(("rate", "least", "most"), [(1.0, 0.01, 0.2), (0.05, 0.025, 0.1)])
def test_strangers_match_as_rarely_as_was_asked_for(
    lfw_part: Floats, rate: float, least: float, most: float
) -> None:
    """Up to the cut of `min_confidence`, which lets one in a thousand match each template."""
    users = [User(pk=UUID(int=n + 1), privacy_level="public") for n in range(ENROLLED)]
    User.objects.bulk_create(users)
    make_templates([(user, lfw_part[2 * n], "") for n, user in enumerate(users)])
    by = fake_engine()
    strangers = lfw_part[2 * ENROLLED :]
    assert len(strangers) == 2 * (LFW_PEOPLE - ENROLLED)
    found = 0
    with searching():
        gallery = Gallery.visible_to(Scope(viewer=None), by)
        cut = by.scores.cut(0.8, rate, gallery.searched).cosine
        for stranger in strangers:
            probe = np.pad(stranger, (0, 512 - len(stranger)))
            found += bool(plans.nearest(gallery, probe, least=cut, limit=1))
    assert least <= found / len(strangers) <= most


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("by_user", [False, True])
def test_the_benchmark_counts_whom_it_enrolled(by_user: bool) -> None:
    """Everybody has three photos that are nearly the same, and every fifth stranger a double."""
    from benchmarks.search import product
    from benchmarks.search.open_gallery import OpenGallery

    random, real, strangers = np.random.default_rng(1), 50, 10
    order = np.random.default_rng(0).permutation(real + strangers)  # as with the seed below
    people = random.normal(size=(real + strangers, 512))
    people[order[real::5]] = people[order[0]]
    photos = people[:, None] + random.normal(size=(len(people), 3, 512)) / 10
    photos /= np.linalg.norm(photos, axis=2, keepdims=True)
    faces = EmbeddedFolder(
        photos=(),
        embeddings=photos.reshape(-1, 512).astype(np.float32),
        qualities=np.ones(photos[..., 0].size),
        people=np.repeat(np.arange(len(people)), 3),
    )
    gallery = OpenGallery(product.open_engine().pack, faces, 20, seed=0, photos=2, most_real=real)
    assert (gallery.searches, gallery.made_up) == ((3 * strangers, 20), 0)
    shares = gallery.shares([0.3, 0.01], by_user=by_user)
    assert shares == pytest.approx(np.array([[0.2, 1], [0.2, 1]]))


def test_rows_are_means_over_the_galleries() -> None:
    class Measured:
        def __init__(self, share: float, made_up: int) -> None:
            self.searches, self.made_up, self._share = (10, 1), made_up, share

        def shares(self, rates: Sequence[float], *, by_user: bool) -> Floats:
            return np.array([[self._share, 1 - self._share + by_user]] * len(rates))

    galleries = [Measured(0.1, 0), Measured(0.3, 5), Measured(0.9, 5)]
    face, user = rows_of(iter(galleries), ["face", "user"])  # type: ignore[arg-type]
    assert (face["match_on"], face["searches"], face["made_up"]) == ("face", [20, 2], 5)
    assert face["strangers"] == dict.fromkeys(RATES, 0.2) == user["strangers"]
    assert (face["found"][0.1], user["found"][0.1]) == (0.8, 1.8)
