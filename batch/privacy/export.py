"""What batches keep of a person, for the archive that recognition.privacy.export makes."""

from django.db.models import Q
from django_q.models import Task

from batch.models import (
    Item,
    Job,
    Kind,
    Picture,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookSecret,
)
from batch.privacy.erasure import tasks_about
from recognition.models import User
from recognition.privacy.erasure import ids_of
from recognition.privacy.export import Row, Section, by, hits


def _names(user: User) -> list[str]:
    return [str(each) for each in ids_of(user)]


def _own_or_naming(user: User) -> Q:
    ids = ids_of(user)
    return Q(job__user_id__in=ids) | Q(user_ids__overlap=ids)


def _on_behalf_of(user: User) -> Q:
    return Q(options__on_behalf_of__in=_names(user))


def _part_of_item(row: Row, user: User) -> Row:
    """A search by another person has only this user's hits."""
    is_own = row.pop("job__user_id") == user.pk
    if is_own or row["job__kind"] == Kind.REGISTER:
        return row
    found = [hit for each in ids_of(user) for hit in hits(row["result"], each)]
    return {**row, "options": {}, "user_ids": [user.pk], "result": found}


SECTIONS = [
    Section("jobs", Job, lambda user: Q(user_id=user.pk) | _on_behalf_of(user)),
    Section(
        "results",
        Item,
        _own_or_naming,
        part=_part_of_item,
        more=("job__kind", "job__user_id"),
    ),
    Section(
        "waiting_pictures",
        Picture,
        lambda user: Q(item__in=Item.objects.filter(_own_or_naming(user))),
        frozenset({"sealed"}),
    ),
    Section("callbacks", WebhookDelivery, by("job__user_id")),
    Section("callback_attempts", WebhookAttempt, by("delivery__job__user_id")),
    Section("callback_addresses", WebhookEndpoint, lambda user: Q(client__in=_names(user))),
    Section(
        "callback_secrets",
        WebhookSecret,
        lambda user: Q(client__in=_names(user)),
        frozenset({"sealed"}),
    ),
    Section("failed_tasks", Task, tasks_about, frozenset({"result", "args", "kwargs"})),
]
