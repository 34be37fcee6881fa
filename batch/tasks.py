"""What django-q2 calls. Arguments are numbers of rows: it pickles them into the database."""

from batch import webhooks
from batch import work as working


def work() -> None:
    working.work()


def sweep() -> None:
    working.sweep()


def deliver(pk: int, tries: int) -> None:
    webhooks.deliver(pk, tries)
