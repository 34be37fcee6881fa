"""Work that is to be done in every collection, such as what workers and the purge do."""

import logging
import random
from collections.abc import Callable

from django.db import Error

from recognition.collections.current import DEFAULT, CollectionGoneError, Entered, entered
from recognition.collections.models import Collection

logger = logging.getLogger(__name__)


def all_collections() -> list[Entered]:
    """Every collection that is not being erased, `default` first."""
    rows = Collection.objects.filter(erasing_at=None, pk__gt=DEFAULT.number).order_by("pk")
    return [DEFAULT, *(row.entered for row in rows)]


def at_work() -> list[Entered]:
    """The collections whose work goes on, in no order: none is always served last."""
    rows = Collection.objects.filter(erasing_at=None, suspended_at=None, pk__gt=DEFAULT.number)
    found = [DEFAULT, *(row.entered for row in rows)]
    random.shuffle(found)
    return found


def in_each(work: Callable[[], object], *, among: Callable[[], list[Entered]] = at_work) -> None:
    """Do the work in each collection. What fails in one is logged, and raised after the others."""
    failed: list[Exception] = []
    for collection in among():
        try:
            with entered(collection):
                work()
        except CollectionGoneError:
            continue  # it was erased since
        except Exception as error:
            failed.append(error)
            if isinstance(error, Error) or not collection.is_default:
                logger.exception("the work in the collection %s failed", collection.name)
    if failed:
        raise failed[0]
