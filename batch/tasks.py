"""What django-q2 calls; it pickles arguments into the database, so there are none."""

import logging

from django.conf import settings

from batch.jobs import work as working
from batch.queue import threads
from batch.webhooks import callbacks
from recognition.privacy import retention

logger = logging.getLogger(__name__)


def work() -> None:
    # While one item waits for the database another is computed.
    threads.run(settings.FACESVC_TASK_THREADS, working.work)


def deliver() -> None:
    # A slow receiver must not keep the pictures waiting.
    threads.run(callbacks.THREADS, callbacks.deliver_due, meanwhile=working.work)
    callbacks.call_if_due()


def sweep() -> None:
    working.sweep()


def purge() -> None:
    """As `manage.py purge`, but for the templates of former models: that has no way back."""
    for rule in retention.RULES:
        logger.info(rule())
