"""What batches keep of a person, for the archive that recognition.privacy.export makes."""

from django.db.models import Q
from django_q.models import Task

from batch import models
from batch.privacy.erasure import tasks_about
from recognition.privacy.export import hits
from recognition.privacy.keeping import Person, Row, Section, by


def _names(person: Person) -> list[str]:
    return [str(each) for each in person.ids]


def _own_or_naming(person: Person) -> Q:
    ids = person.ids
    return Q(job__user_id__in=ids) | Q(user_ids__overlap=ids)


def _on_behalf_of(person: Person) -> Q:
    return Q(options__on_behalf_of__in=_names(person))


def _part_of_item(row: Row, person: Person) -> Row:
    """From another person's search, only this user's hits are part of the export."""
    is_own = row.pop("job__user_id") == person.id
    if is_own or row["job__kind"] == models.Kind.REGISTER:
        return row
    found = hits(row["result"], person.ids)
    return {**row, "options": {}, "user_ids": [person.id], "result": found}


SECTIONS = [
    Section("jobs", models.Job, lambda person: Q(user_id=person.id) | _on_behalf_of(person)),
    Section(
        "results",
        models.Item,
        _own_or_naming,
        part=_part_of_item,
        more=("job__kind", "job__user_id"),
    ),
    Section(
        "waiting_pictures",
        models.Picture,
        lambda person: Q(item__in=models.Item.objects.filter(_own_or_naming(person))),
        frozenset({"sealed"}),
    ),
    Section(
        "unknown_faces",
        models.UnknownFaces,
        lambda person: Q(item__job__in=models.Job.objects.filter(_on_behalf_of(person))),
        frozenset({"sealed"}),
    ),
    Section("callbacks", models.WebhookDelivery, by("job__user_id")),
    Section("callback_attempts", models.WebhookAttempt, by("delivery__job__user_id")),
    Section(
        "callback_addresses", models.WebhookEndpoint, lambda person: Q(client__in=_names(person))
    ),
    Section(
        "callback_secrets",
        models.WebhookSecret,
        lambda person: Q(client__in=_names(person)),
        frozenset({"sealed"}),
    ),
    Section("failed_tasks", Task, tasks_about, frozenset({"result", "args", "kwargs"})),
]
