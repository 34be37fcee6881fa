"""Secrets of clients and signatures of callbacks, as in Standard Webhooks 1.0."""

import base64
import hashlib
import hmac
import secrets
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from batch.models import WebhookSecret
from recognition.privacy import sealing

PREFIX = "whsec_"
_BYTES = 32


def current(client: str) -> str:
    """The client's secret, made at first use."""
    row = WebhookSecret.objects.filter(client=client, retires_at=None).first()
    if row is None:
        defaults = {"sealed": _new()}
        row, _ = WebhookSecret.objects.get_or_create(
            client=client, retires_at=None, defaults=defaults
        )
    return _shown(row)


@transaction.atomic
def rotate(client: str) -> str:
    """Make a new secret; the former one signs, too, for FACESVC_WEBHOOK_ROTATION_HOURS.

    Older ones are deleted, so there are never more than two.
    """
    end = timezone.now() + timedelta(hours=settings.FACESVC_WEBHOOK_ROTATION_HOURS)
    secrets_of = WebhookSecret.objects.filter(client=client)
    secrets_of.exclude(retires_at=None).delete()
    secrets_of.update(retires_at=end)
    return _shown(WebhookSecret.objects.create(client=client, sealed=_new()))


def headers(client: str, message_id: str, body: bytes) -> dict[str, str]:
    """webhook-id, webhook-timestamp and webhook-signature, the newest secret first."""
    seconds = int(timezone.now().timestamp())
    signed = f"{message_id}.{seconds}.".encode() + body
    current(client)
    valid = WebhookSecret.objects.filter(client=client).order_by("-pk")
    valid = valid.filter(Q(retires_at=None) | Q(retires_at__gt=timezone.now()))
    signatures = [sign(sealing.unseal(bytes(row.sealed)), signed) for row in valid]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(signatures),
    }


def sign(secret: bytes, signed: bytes) -> str:
    digest = hmac.new(secret, signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def _new() -> bytes:
    return sealing.seal(secrets.token_bytes(_BYTES))


def _shown(row: WebhookSecret) -> str:
    return PREFIX + base64.b64encode(sealing.unseal(bytes(row.sealed))).decode()
