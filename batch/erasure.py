"""What batches keep of a user goes with the user, in the same transaction."""

from typing import Any
from uuid import UUID

from batch.models import Item, Job, Picture
from recognition.models import User


def forget(sender: type[User], instance: User, **kwargs: Any) -> None:
    """A receiver of pre_delete. Pending pictures, own jobs, and the name in others' results."""
    Job.objects.filter(user_id=instance.pk).delete()
    # Whoever works on one of them finds that the picture is gone, and stores nothing.
    named = Item.objects.filter(user_ids__contains=[instance.pk])
    Picture.objects.filter(item__in=named.pending()).delete()
    # Only what is done: a worker that has an item may be waiting for the lock of this user.
    for item in named.done().select_for_update():
        item.result = without(item.result, instance.pk)
        item.user_ids = [each for each in item.user_ids if each != instance.pk]
        item.save(update_fields=["result", "user_ids"])


def without(result: Any, user_id: UUID) -> Any:
    """A result with nobody of that id in it, and numbers that fit."""
    match result:
        case {"user_id": found} if found == str(user_id):
            return {"registration_status": "erased"}
        case {"candidates": list(candidates), **others}:
            kept = [each for each in candidates if each["user_id"] != str(user_id)]
            others |= {"candidates": kept, "total_candidates": len(kept)}
            if candidates and not kept:
                others["identification_result"] = "not_found"
            return {name: without(value, user_id) for name, value in others.items()}
        case dict():
            return {name: without(value, user_id) for name, value in result.items()}
        case list():
            return [without(each, user_id) for each in result]
    return result
