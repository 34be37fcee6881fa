from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from batch import webhooks
from batch.models import DeliveryState, WebhookDelivery


class Command(BaseCommand):
    help = "Send callbacks again: those that were given up, or the named ones."

    def add_arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--dead", action="store_true", help="all that were given up")
        which.add_argument("--job", metavar="JOB_ID", nargs="+", help="those of these jobs")

    def handle(self, *args: Any, **options: Any) -> None:
        deliveries = WebhookDelivery.objects.filter(state=DeliveryState.DEAD)
        if options["job"]:
            deliveries = WebhookDelivery.objects.filter(job__job_id__in=options["job"])
            found = set(deliveries.values_list("job__job_id", flat=True))
            if missing := sorted(set(options["job"]) - found):
                raise CommandError(f"No callback of {', '.join(missing)}.")
        count = webhooks.replay(deliveries, actor="command:replay_webhooks")
        self.stdout.write(f"{count} callbacks are queued again.")
