"""People who are not enrolled match somebody as rarely as was asked for.

A small part of `python -m benchmarks.open_set`, which has galleries of up to 100,000 faces.
"""

from uuid import UUID

import numpy as np
import pytest

from recognition import matching
from recognition.gallery import Scope
from recognition.inference.arrays import Floats
from recognition.models import User
from recognition.search import Gallery
from recognition.statements import statements
from tests.builders import fake_engine, make_templates
from tests.conftest import LFW_PEOPLE
from tests.photos import needs_shared

pytestmark = [pytest.mark.django_db, pytest.mark.slow, needs_shared]
ENROLLED = 50


@pytest.mark.parametrize(("rate", "least", "most"), [(1.0, 0.01, 0.2), (0.05, 0.025, 0.1)])
def test_strangers_match_as_rarely_as_was_asked_for(
    lfw_part: Floats, rate: float, least: float, most: float
) -> None:
    """Up to the cut of `min_confidence`, which lets one in a thousand match each template."""
    users = [User(pk=UUID(int=n + 1), privacy_level="public") for n in range(ENROLLED)]
    User.objects.bulk_create(users)
    make_templates([(user, lfw_part[2 * n], "") for n, user in enumerate(users)])
    by = fake_engine()
    options = matching.SearchOptions(min_confidence=0.8, max_false_positive_rate=rate)
    strangers = lfw_part[2 * ENROLLED :]
    assert len(strangers) == 2 * (LFW_PEOPLE - ENROLLED)
    found = 0
    with statements():
        gallery = Gallery.visible_to(Scope(viewer=None), by)
        cut = matching.cut(by, options, gallery.searched).cosine
        for stranger in strangers:
            probe = np.pad(stranger, (0, 512 - len(stranger)))
            found += bool(gallery.nearest(probe, least=cut, limit=1))
    assert least <= found / len(strangers) <= most
