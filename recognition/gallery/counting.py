"""How many templates a search may find, and how many each user has; PostgreSQL counts."""

from collections.abc import Sequence
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import BooleanField, Count, ExpressionWrapper, F, Func, Q, Value

from recognition.gallery.statements import Listings, fetched
from recognition.models import GalleryCount


def count(listings: Listings) -> int:
    """How many listings of one version there are."""
    # One version has one row, or none.
    grouped = listings.order_by().values("embedding_version").annotate(count=Count("*"))
    return sum(found for (found,) in fetched(grouped.values_list("count")))


def faces_of_each(listings: Listings, users: Sequence[UUID]) -> dict[UUID, int]:
    """How many of the listings each of these users has. A user without any is left out."""
    # As an array: the same prepared statement for any number of users.
    ids = Value(list(users), output_field=ArrayField(models.UUIDField()))
    is_chosen = Func(
        F("user_id"),
        ids,
        arg_joiner=" = ANY(",
        template="%(expressions)s)",
        output_field=BooleanField(),
    )
    chosen = listings.filter(is_chosen)
    counted = chosen.order_by().values("user_id").annotate(count=Count("*"))
    return dict(fetched(counted.values_list("user_id", "count")))


def stored(kinds: Q, version: str) -> tuple[int, int]:
    """How many templates there are of these kinds and this version, and how many in all."""
    wanted = ExpressionWrapper(kinds & Q(embedding_version=version), BooleanField())
    rows = fetched(GalleryCount.objects.values_list("templates", wanted))
    counts = sum(count for count, is_wanted in rows if is_wanted), sum(count for count, _ in rows)
    # Never below 0, whatever was done to the tables by hand.
    return max(counts[0], 0), max(counts[1], 0)
