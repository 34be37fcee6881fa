"""A replica that has replayed everything gives the answers of a single database."""

import itertools
from dataclasses import replace
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from django.db import connections
from django.test.utils import override_settings
from psycopg.pq import TransactionStatus

from management import moderation
from recognition.enrolment import comparing_all
from recognition.gallery.probe import SearchProbe
from recognition.gallery.replicas import asking, judging
from recognition.gallery.replicas.fitness import ALIAS, Reason
from recognition.gallery.replicas.judging import SPARE
from recognition.gallery.scope import Scope
from recognition.identification.searching import Answered, PictureSearch
from recognition.models import Face, User
from recognition.packs import engine
from recognition.packs.engine import Engine
from tests.recognition.gallery.test_search_rule import padded
from tests.support.builders import (
    befriend,
    fake_engine,
    make_group,
    make_templates,
    near,
    vector,
)
from tests.support.servers.standby import Standby, fallbacks, searches

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True, databases=["default", "search"]),
]
PEOPLE, LOOKS, OF_A_KIND = 160, 8, 11
VIEWER = UUID(int=1)
SCOPES = [
    Scope(None),
    Scope(VIEWER),
    Scope(VIEWER, frozenset({"friends"})),
    Scope(VIEWER, frozenset({"public", "friends", "club"})),
    Scope(VIEWER, tagging=True),
    Scope(VIEWER, frozenset(), everyone=True),
    Scope(UUID(int=10**6)),  # nobody knows them
]
KINDS = [*itertools.product(SCOPES, (False, True), (None, 0.01))]


@pytest.fixture
def active(replica: Standby) -> Engine:
    """People who resemble each other in groups of twenty, with one to three faces."""
    rng = np.random.default_rng(5)
    levels = ["public", "friends", "private"]
    users = [User(pk=UUID(int=n + 1), privacy_level=levels[rng.integers(3)]) for n in range(PEOPLE)]
    User.objects.bulk_create(users)
    # No two faces are equally near: who comes first would be chance.
    cosines = {
        look: rng.permutation(np.linspace(0.85, 0.998, 60)).tolist() for look in range(LOOKS)
    }
    rows = [
        (user, near(vector(n % LOOKS), cosines[n % LOOKS].pop(), toward=30 + n % 90), "")
        for n, user in enumerate(users)
        for _ in range(1 + n % 3)
    ]
    faces = make_templates(rows)
    Face.objects.filter(pk__in=[face.pk for face in faces[::7]]).update(taggable="friends_only")
    befriend(users[0], *users[2:60:2])
    make_group("club", *users[:40])
    engine.active_model()
    replica.catch_up()
    return fake_engine()


def probe(look: int, photos: int = 1) -> SearchProbe:
    numbers = range(photos)
    looks = [padded(near(vector(look), 0.995 - n / 50, toward=125 - n)) for n in numbers]
    return SearchProbe.of_one_person(np.stack(looks))


def both(search: PictureSearch) -> tuple[Answered, Answered]:
    """What a replica and the primary answer, and what the primary answers alone."""
    on_primary, on_replica = searches()
    together = search.answered(asking.moment())
    assert searches() == (on_primary, on_replica + 1)
    # An open transaction on a replica would hold up the vacuum of the primary.
    assert connections[ALIAS].connection.info.transaction_status == TransactionStatus.IDLE
    with override_settings(FACESVC_SEARCH_DATABASE_URL=""):
        return together, search.answered(asking.moment())


def test_every_kind_of_search(active: Engine) -> None:
    found = 0
    for scope, by_user, most_false in KINDS:
        for number in range(OF_A_KIND):
            faces = [probe((number + one) % LOOKS, 1 + number % 4) for one in range(1 + number % 3)]
            least, most = (0.5, 0.8)[number % 2], (1, 10, 50)[number % 3]
            search = PictureSearch(active, faces, scope, least, most_false, most, by_user)
            together, alone = both(search)
            assert together == alone
            found += sum(len(each) for each in together.found)
    assert found > 10 * OF_A_KIND


def test_the_spare_ones_are_looked_at_only_if_need_be(
    replica: Standby, active: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged, asked = judging.judged, []

    def noted(*args: Any, **kwargs: Any) -> Any:
        asked.append(len(args[2][0]))
        return judged(*args, **kwargs)

    def looked(*args: Any) -> Any:
        found = look(*args)
        return found and replace(found, has_all=has_all)

    look = asking.look
    monkeypatch.setattr(judging, "judged", noted)
    monkeypatch.setattr(asking, "look", looked)
    search = PictureSearch(active, [probe(1)], Scope(None, everyone=True), 0.5, None, 3, False)
    has_all = True
    first = both(search)[0].found[0][0]
    assert asked == [3]
    has_all = False
    both(search)
    assert asked[1:] == [3 + SPARE]
    has_all = True
    replica.pause()
    moderation.suspend_user(actor="test", user_id=first.user_id)  # after it was looked at
    together, alone = both(search)
    assert together.found == alone.found
    assert asked[2:] == [3, 3 + SPARE]


def test_who_drops_out_leaves_no_gap(replica: Standby, active: Engine) -> None:
    search = PictureSearch(active, [probe(1)], Scope(None, everyone=True), 0.5, None, 3, False)
    before = [found.user_id for found in search.answered(asking.moment()).found[0]]
    replica.pause()
    for user in before[:2]:
        moderation.suspend_user(actor="test", user_id=user)
    together, alone = both(search)
    assert together == alone
    assert len(together.found[0]) == 3
    # So many that the replica has too few: the primary searches.
    for found in alone.found[0]:
        moderation.suspend_user(actor="test", user_id=found.user_id)
    for found in search.answered(asking.moment()).found[0][:2]:
        moderation.suspend_user(actor="test", user_id=found.user_id)
    gaps = fallbacks(Reason.GAP)
    answered = search.answered(asking.moment())
    assert len(answered.found[0]) == 3
    assert fallbacks(Reason.GAP) == gaps + 1


def test_look_alikes(replica: Standby, active: Engine) -> None:
    faces = [(UUID(int=look + 1), probe(look).template) for look in range(LOOKS)]
    replica.catch_up()
    on_primary, on_replica = searches()
    together = comparing_all.matches(active, faces)
    assert searches() == (on_primary, on_replica + 1)
    replica.pause()
    User.objects.create(pk=UUID(int=10**6))
    assert comparing_all.matches(active, faces) == together  # by the primary, which knows more
    assert searches() == (on_primary + 1, on_replica + 1)
    assert any(together)
