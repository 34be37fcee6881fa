"""Work that is to be done in every collection, such as what workers and the purge do."""

import logging
import random
from collections.abc import Callable

from django.db import Error
from django.db.models import QuerySet

from recognition.collections.current import DEFAULT, CollectionGoneError, Entered, entered
from recognition.collections.models import Collection

logger = logging.getLogger(__name__)


def all_collections() -> list[Entered]:
    """Every collection that is not being erased, `default` first."""
    return [DEFAULT, *(row.entered for row in _others().order_by("pk"))]


def at_work() -> list[Entered]:
    """The collections whose work goes on, in no order: none is always served last."""
    found = [DEFAULT, *(row.entered for row in _others().filter(suspended_at=None))]
    random.shuffle(found)
    return found


def _others() -> QuerySet[Collection]:
    return Collection.objects.filter(erasing_at=None, pk__gt=DEFAULT.number)


def in_each(work: Callable[[], object], *, among: Callable[[], list[Entered]] = at_work) -> None:
    """Do the work in each collection. What fails in one is logged, and raised after the others."""
    failed: list[Exception] = []
    found = among()
    random.shuffle(found)  # what is stopped too early does not always lack the same ones
    for collection in found:
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
