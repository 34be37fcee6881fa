"""Which collections an operator may see, and who may see the pages of the installation.

`OperatorOf` binds an operator to collections, whatever rights they have. Who is bound to none sees
`default`; who has the right to see all sees all. A superuser does, bound or not.
"""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User as Account
from django.db.models import Exists, Model, OuterRef, Prefetch, QuerySet

from recognition.collections.current import DEFAULT, Entered
from recognition.collections.models import Collection, OperatorOf
from recognition.collections.schemas import SHARED_APPS
from recognition.collections.visiting import all_collections

SEE_ALL = "collections.see_all_collections"
# Their tables are shared, and their pages show the keys of one collection.
_OF_A_COLLECTION = frozenset({"apikey", "accesskey"})


def is_shared(label: str, model: str) -> bool:
    """Whether a page of the admin is about the installation, and not about one collection."""
    return label in SHARED_APPS and model not in _OF_A_COLLECTION


class Backend(ModelBackend):
    """Django's rights of operators. One who is bound has none to the pages of the installation,
    such as the list of operators, and may not see all.
    """

    def get_all_permissions(self, user_obj: Any, obj: Model | None = None) -> set[str]:
        found = super().get_all_permissions(user_obj, obj)
        if user_obj.is_superuser or not _is_bound(user_obj):
            return found
        return {each for each in found if not _is_about_all(each)}


def _is_about_all(permission: str) -> bool:
    label, _, verb_and_model = permission.partition(".")
    return is_shared(label, verb_and_model.rpartition("_")[2])


def _is_bound(operator: Any) -> bool:
    """Asked once for a request, which reads its operator from the database."""
    if not hasattr(operator, "_is_bound"):
        operator._is_bound = OperatorOf.objects.filter(operator_id=operator.pk).exists()
    return bool(operator._is_bound)


def with_collections(operators: QuerySet[Account]) -> QuerySet[Account]:
    """The operators with what `seen_by` needs, in two statements for all of them."""
    all_seeing = Account.objects.with_perm(SEE_ALL, backend=f"{__name__}.{Backend.__name__}")
    bound = OperatorOf.objects.select_related("collection").order_by("collection")
    return operators.annotate(
        sees_all=Exists(all_seeing.filter(pk=OuterRef("pk")))
    ).prefetch_related(Prefetch("bound_to", bound, to_attr="bindings"))


def seen_by(operator: Any) -> list[str] | None:
    """The names of the collections that an operator of `with_collections` may see; None: all."""
    if operator.is_superuser or (operator.sees_all and not operator.bindings):
        return None
    if not operator.bindings:
        return [DEFAULT.name]
    rows = [row.collection for row in operator.bindings if row.collection]
    return [row.name for row in rows if row.erasing_at is None]


def may_see_all(operator: Any) -> bool:
    return bool(operator.has_perm(SEE_ALL))


def collections_of(operator: Account) -> list[Entered]:
    """Those that an operator may see now, in the order of the choice; perhaps none."""
    if may_see_all(operator):
        return all_collections()
    if not _is_bound(operator):
        return [DEFAULT]
    rows = Collection.objects.filter(operatorof__operator=operator, erasing_at=None)
    return [row.entered for row in rows.order_by("pk")]
