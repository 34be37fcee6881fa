"""What batches keep of a user or a face goes with it, in the same transaction.

Locks are taken in the order of the workers, who have an item when they come to its user: items
first, then the user. So whoever locks a user before erasing them may wait for a worker that waits
for them; the database then ends one of the two, and both may be tried again.
"""

from typing import Any

from django.db.models import QuerySet

from batch.models import Item, Job, Picture
from recognition.models import Face, User


def forget(sender: type[User], instance: User, **kwargs: Any) -> None:
    """A receiver of pre_delete. Pending pictures, own jobs, and the name in others' results."""
    own = Item.objects.filter(job__user_id=instance.pk)
    # Waits for the workers that have one of them. None takes another: claims skip what is locked.
    list(own.select_for_update(of=("self",)).order_by("pk").values_list("pk", flat=True))
    # Waits for those who are storing a result with the user in it; later ones find nobody.
    User.objects.select_for_update().filter(pk=instance.pk).first()
    # Enrolled while this waited: Django has looked for what belongs to the user before.
    Face.objects.filter(user=instance.pk).delete()
    Job.objects.filter(user_id=instance.pk).delete()
    named = Item.objects.filter(user_ids__contains=[instance.pk])
    # Whoever works on one of them finds that the picture is gone, and stores nothing.
    Picture.objects.filter(item__in=named.pending()).delete()
    # Not those that a worker has: it may be waiting for the lock of this user.
    waiting = named.pending().select_for_update(skip_locked=True).values_list("pk", flat=True)
    Item.objects.filter(pk__in=list(waiting)).update(options={}, user_ids=[])
    for item in named.done().select_for_update():
        item.result = without(item.result, "user_id", str(instance.pk))
        item.user_ids = [each for each in item.user_ids if each != instance.pk]
        item.save(update_fields=["result", "user_ids"])


def forget_face(sender: type[Face], instance: Face, origin: Any = None, **kwargs: Any) -> None:
    """A receiver of pre_delete: its id, landmarks and age. With a user, `forget` has done it."""
    if isinstance(origin, User) or (isinstance(origin, QuerySet) and origin.model is User):
        return
    # As above: waits for those who are storing a result with the face in it.
    Face.objects.select_for_update().filter(pk=instance.pk).first()
    named = Item.objects.done().filter(user_ids__contains=[instance.user_id])
    for item in named.select_for_update():
        result = without(item.result, "face_id", instance.face_id)
        if result != item.result:
            item.result = result
            item.save(update_fields=["result"])


def without(result: Any, name: str, value: str) -> Any:
    """A result with no user or face (`name`) of that id in it, and numbers that fit."""
    match result:
        case {"registration_status": _} if result.get(name) == value:
            return {"registration_status": "erased"}
        case {"candidates": list(candidates), **others}:
            kept = [each for each in candidates if each.get(name) != value]
            others |= {"candidates": kept, "total_candidates": len(kept)}
            if candidates and not kept:
                others["identification_result"] = "not_found"
            return {key: without(each, name, value) for key, each in others.items()}
        case dict():
            shown = {key: each for key, each in result.items() if (key, each) != (name, value)}
            return {key: without(each, name, value) for key, each in shown.items()}
        case list():
            return [without(each, name, value) for each in result]
    return result
