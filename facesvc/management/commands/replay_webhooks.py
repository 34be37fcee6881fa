from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.db.models import Q, QuerySet

from batch.models import DeliveryState, WebhookDelivery, WebhookEndpoint
from batch.webhooks import callbacks
from facesvc.management.service_command import CommandInOne

_ACTOR = "command:replay_webhooks"
_ALL = ""


class Command(CommandInOne):
    help = (
        "Send callbacks again: those that were given up, those that were stopped because the "
        "receiver answered 410 Gone, or the named ones."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--dead", action="store_true", help="all that were given up")
        which.add_argument(
            "--stopped",
            metavar="ADDRESS",
            nargs="?",
            const=_ALL,
            help="all that were stopped, or those to one address, which takes callbacks again",
        )
        which.add_argument("--job", metavar="JOB_ID", nargs="+", help="those of these jobs")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["stopped"] is not None:
            count = callbacks.enable(_stopped(options["stopped"]), actor=_ACTOR)
        else:
            count = callbacks.replay(_deliveries(options["job"]), actor=_ACTOR)
        self.stdout.write(f"{count} callbacks are queued again.")


def _stopped(address: str) -> QuerySet[WebhookEndpoint]:
    some = Q(webhookdelivery__state=DeliveryState.STOPPED)
    stopped = WebhookEndpoint.objects.filter(some | Q(disabled_at__isnull=False))
    if address == _ALL:
        return stopped
    stopped = stopped.filter(url=address)
    if not stopped.exists():
        raise CommandError(f"Callbacks to {address} are not stopped.")
    return stopped


def _deliveries(jobs: list[str] | None) -> QuerySet[WebhookDelivery]:
    if not jobs:
        return WebhookDelivery.objects.filter(state=DeliveryState.DEAD)
    deliveries = WebhookDelivery.objects.filter(job__job_id__in=jobs)
    found = set(deliveries.values_list("job__job_id", flat=True))
    if missing := sorted(set(jobs) - found):
        raise CommandError(f"No callback of {', '.join(missing)}.")
    return deliveries
