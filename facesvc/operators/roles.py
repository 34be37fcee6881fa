"""Three groups that operators can be put into: viewer, moderator and administrator.

`migrate` makes those that are missing. To an existing group it adds only permissions that did not
exist before, so it keeps what operators changed.
"""

from typing import Any

from django.apps import apps as installed
from django.contrib import admin
from django.contrib.auth.management import create_permissions
from django.db.models import Q

from facesvc.operators.bindings import SEE_ALL, is_shared
from facesvc.operators.collection_pages import ERASE as ERASE_COLLECTION
from facesvc.operators.collection_pages import SUSPEND
from recognition.admin.kit import ERASE, MEASURE, MODERATE, VIEW_PICTURES

# Permissions in addition to viewing everything but pictures.
_MODERATOR = (
    *(VIEW_PICTURES, MODERATE, ERASE),
    "batch.change_webhookdelivery",  # send a callback again, enable an address
    "batch.change_job",  # cancel
)
_OUR_APPS = ("collections", "recognition", "batch", "management")
# Make keys of services; replace and revoke them.
_KEYS = {
    f"collections.{verb}_{model}" for verb in ("add", "change") for model in ("apikey", "accesskey")
}
_VERBS = ("view", "add", "change", "delete")
_OPERATORS = {f"auth.{verb}_{model}" for model in ("user", "group") for verb in _VERBS}

# To bind operators to collections, to see what all collections share, and to suspend and erase
# collections.
_BINDINGS = {f"collections.{verb}_operatorof" for verb in _VERBS}
_COLLECTIONS = _BINDINGS | {SEE_ALL, "collections.view_collection", SUSPEND, ERASE_COLLECTION}

_known: set[str] | None = None  # the permissions before the migration that runs now


def viewer() -> set[str]:
    """The permissions to view every page, and no picture."""
    pages = {
        f"{model._meta.app_label}.view_{model._meta.model_name}"
        for model in admin.site._registry
        if model._meta.app_label in _OUR_APPS and not is_shared(*model._meta.label_lower.split("."))
    }
    return pages | {"recognition.view_dailycount"}


def groups() -> dict[str, set[str]]:
    """The permissions that each group gets when it is created."""
    moderator = viewer() | set(_MODERATOR)
    return {
        "viewer": viewer(),
        "moderator": moderator,
        "administrator": moderator | _OPERATORS | _COLLECTIONS | _KEYS | {MEASURE},
    }


def remember(using: str, **kwargs: Any) -> None:
    """A receiver of pre_migrate."""
    global _known
    from django.contrib.auth.models import Permission

    tables = _tables(using)
    _known = set(_existing(using)) if Permission._meta.db_table in tables else set()


def prepare(using: str, apps: Any = installed, **kwargs: Any) -> None:
    """A receiver of post_migrate."""
    global _known
    from django.contrib.auth.models import Group

    if Group._meta.db_table not in _tables(using):
        return  # migrated back to before there were groups
    for label in (*_OUR_APPS, "auth"):
        # Django makes them app by app, some after this.
        create_permissions(installed.get_app_config(label), verbosity=0, using=using, apps=apps)
    existing = _existing(using)
    before, _known = set(existing) if _known is None else _known, None
    for name, wanted in groups().items():
        group, is_new = Group.objects.using(using).get_or_create(name=name)
        given = wanted if is_new else wanted - before
        group.permissions.add(*(existing[each] for each in given if each in existing))


def _existing(using: str) -> dict[str, int]:
    """The keys of the permissions by their names."""
    from django.contrib.auth.models import Permission

    about = Q(content_type__app_label__in=(*_OUR_APPS, "auth"))
    rows = Permission.objects.using(using).filter(about).order_by()
    return {
        f"{label}.{codename}": pk
        for pk, label, codename in rows.values_list("pk", "content_type__app_label", "codename")
    }


def _tables(using: str) -> list[str]:
    from django.db import connections

    return connections[using].introspection.table_names()
