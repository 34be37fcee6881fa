"""Listings and counts follow every change of templates, faces and users."""

import pytest
from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from recognition.models import Face, GalleryCount, Listing, Sketch, Template, User
from tests.builders import FRIEND, OWNER, make_face, make_user, vector

pytestmark = pytest.mark.django_db


def counted() -> dict[tuple[str, str, bool], int]:
    rows = GalleryCount.objects.values_list("privacy_level", "taggable", "shown")
    sums = rows.annotate(sum=Sum("templates")).order_by()
    return {(level, taggable, shown): n for level, taggable, shown, n in sums if n}


def there() -> dict[tuple[str, str, bool], int]:
    """The same, counted from users and faces."""
    counts: dict[tuple[str, str, bool], int] = {}
    for template in Template.objects.select_related("face", "user"):
        face, user = template.face, template.user
        shown = face.searchable and not face.suspended_at and not user.suspended_at
        key = (user.privacy_level, face.taggable, shown)
        counts[key] = counts.get(key, 0) + 1
    return counts


def test_counts_follow_every_change() -> None:
    owner, friend = make_user(OWNER, "public"), make_user(FRIEND)
    faces = [make_face(user, vector(n)) for n, user in enumerate([owner, owner, friend])]
    assert (
        counted() == there() == {("public", "everyone", True): 2, ("friends", "everyone", True): 1}
    )
    Face.objects.filter(pk=faces[0].pk).update(searchable=False, taggable="nobody")
    User.objects.filter(pk=FRIEND).update(privacy_level="public")
    assert counted() == there()
    User.objects.filter(pk=OWNER).update(suspended_at=timezone.now())
    assert counted() == there()
    Face.objects.filter(pk=faces[0].pk).update(suspended_at=timezone.now(), searchable=True)
    User.objects.filter(pk=OWNER).update(suspended_at=None)
    assert counted() == there()
    faces[1].delete()
    assert counted() == there()
    owner.delete()
    assert counted() == there() == {("public", "everyone", True): 1}
    assert (Listing.objects.count(), Sketch.objects.count()) == (1, 1)


def test_counts_are_summed_up_from_time_to_time() -> None:
    owner = make_user(OWNER)
    make_face(owner, vector(1))
    for _ in range(600):
        for level in ("public", "friends"):
            User.objects.filter(pk=OWNER).update(privacy_level=level)
    # Never in 1,200 tries has a chance of 6 in a million.
    assert GalleryCount.objects.count() < 2400
    assert counted() == there()


def test_a_template_without_a_centre_is_refused() -> None:
    face = make_face(make_user(OWNER), vector(1))
    with pytest.raises(Exception, match="unknown_v1 has no sketch centre"), transaction.atomic():
        Template.objects.create(
            face=face, user=face.user, embedding_version="unknown_v1", embedding=[0.0] * 512
        )
