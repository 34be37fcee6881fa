"""What django-q2 calls. Arguments are numbers of rows: it pickles them into the database."""

from django.conf import settings

from batch import webhooks
from batch import work as working


def work() -> None:
    working.work_in_threads(settings.FACESVC_TASK_THREADS)


def sweep() -> None:
    working.sweep()


def deliver(pk: int, tries: int) -> None:
    webhooks.deliver(pk, tries)
