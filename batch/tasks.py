"""The tasks that django-q2 calls, without arguments: it would pickle them into the database."""

import logging

from django.conf import settings

from batch.jobs import work as working
from batch.queue import threads
from batch.webhooks import callbacks
from recognition.privacy.keeping import retention_rules

logger = logging.getLogger(__name__)


def work() -> None:
    # While one item waits for the database, another one is computed.
    threads.run(settings.FACESVC_TASK_THREADS, working.work)


def deliver() -> None:
    # A slow receiver of callbacks must not delay the pictures.
    threads.run(callbacks.THREADS, callbacks.deliver_due, waiting=working.work)
    callbacks.call_if_due()


def sweep() -> None:
    working.sweep()


def purge() -> None:
    """Like `manage.py purge`, but keeps the templates of former models: their deletion is final."""
    for rule in retention_rules():
        logger.info(rule())
