"""What django-q2 calls; it pickles arguments into the database, so there are none."""

from django.conf import settings

from batch import threads, webhooks
from batch import work as working


def work() -> None:
    # While one item waits for the database another is computed.
    threads.run(settings.FACESVC_TASK_THREADS, working.work)


def deliver() -> None:
    # A slow receiver must not keep the pictures waiting.
    threads.run(webhooks.THREADS, webhooks.deliver_due, meanwhile=working.work)
    webhooks.call_if_due()


def sweep() -> None:
    working.sweep()
