"""Removes what batches keep of a user or a face, in the transaction that deletes it."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db.models import Q
from django_q.models import Task

from batch.models import (
    Item,
    ItemState,
    Job,
    Kind,
    Picture,
    UnknownFaces,
    WebhookEndpoint,
    WebhookSecret,
    erased_image_id,
)
from recognition.models import Face, locks
from recognition.models.user_ids import UserId
from recognition.privacy.keeping import Erasure, Person


def lock(erasure: Erasure) -> None:
    """Lock the user's items and then jobs: workers take them in this order, too."""
    lock_items_of(erasure.person.ids)
    _forget_viewer(erasure)


def lock_items_of(user_ids: list[UUID]) -> None:
    """Wait for the workers that have an item of these users' jobs.

    None takes another one: claims skip what is locked.
    """
    own = Item.objects.filter(job__user_id__in=user_ids)
    list(own.select_for_update(of=("self",)).order_by("pk").values_list("pk", flat=True))


def hand_over(user_id: UUID, into: UUID) -> None:
    """The jobs of a user who is merged into another one become the other's.

    The items are locked before the users, as in an erasure. What else names the merged id stays as
    it is, a picture that waits included: its enrolment answers user_merged. The erasure of the user
    who stays looks for the former ids as well.
    """
    lock_items_of([user_id])
    locks.lock_entirely(user_id, into)
    Job.objects.filter(user_id=user_id).update(user_id=into, subject=str(into))


def forget(erasure: Erasure) -> None:
    """Delete the user's own jobs with all their rows, and the user from others' results."""
    ids = erasure.person.ids
    clients = [str(each) for each in ids]
    erasure.delete(Job.objects.filter(user_id__in=ids))
    erasure.delete(WebhookEndpoint.objects.filter(client__in=clients))
    erasure.delete(WebhookSecret.objects.filter(client__in=clients))
    _forget_in_items(erasure)
    erasure.delete(Task.objects.filter(tasks_about(erasure.person)))


def tasks_about(person: Person) -> Q:
    """Failed tasks whose traceback may quote a row about the person.

    Tracebacks are pickled, so all of them have to be read.
    """
    failed = Task.objects.filter(success=False).iterator()
    found = [task.pk for task in failed if person.is_in(str(task.result))]
    return Q(pk__in=found)


def _forget_viewer(erasure: Erasure) -> None:
    """Services' jobs on behalf of the user: the pictures that wait are dropped, and the templates
    of those that are done.
    """
    viewers = [str(each) for each in erasure.person.ids]
    theirs = Job.objects.filter(options__on_behalf_of__in=viewers)
    for job in theirs.select_for_update(no_key=True).order_by("pk"):
        erasure.delete(Picture.objects.filter(item__job=job, item__state=ItemState.PENDING))
        erasure.delete(UnknownFaces.objects.filter(item__job=job))
        job.options = {**job.options, "on_behalf_of": None, "group_unknown": False}
        job.save(update_fields=["options"])


def _forget_in_items(erasure: Erasure) -> None:
    ids = erasure.person.ids
    named = Item.objects.filter(user_ids__overlap=ids).order_by("pk")
    # A worker that holds one of them finds that its picture is gone, and stores nothing.
    erasure.delete(Picture.objects.filter(item__in=named.pending()))
    # Skips items that a worker holds: it may be waiting for the lock of this user.
    for item in named.pending().select_for_update(skip_locked=True):
        item.image_id, item.options, item.user_ids = erased_image_id(), {}, []
        item.save(update_fields=["image_id", "options", "user_ids"])
    for item in named.done().select_related("job").select_for_update(of=("self",)):
        _forget_in(item, ids)


def _forget_in(item: Item, ids: list[UUID]) -> None:
    """Empty an enrolment of the user; a search keeps the other people in it."""
    if item.job.kind == Kind.REGISTER:
        item.image_id = erased_image_id()  # often a file name with the user's name in it
        item.result = (
            {"registration_status": "erased"}
            if item.state == ItemState.SUCCESS
            else {"code": "user_not_found", "message": "The user was erased.", "details": {}}
        )
    else:
        item.result = without(item.result, "user_id", lambda text: UserId(text) in ids)
    item.options = {}
    item.user_ids = [each for each in item.user_ids if each not in ids]
    item.save(update_fields=["image_id", "result", "options", "user_ids"])


def forget_face(face: Face) -> None:
    """Remove the face from results: its id, landmarks and age."""
    # Waits for workers that are storing a result with the face; later ones do not find it.
    Face.objects.select_for_update().filter(pk=face.pk).first()
    forget_moved_face(face, face.user_id)


def forget_moved_face(face: Face, was: UUID) -> None:
    """Remove the face from results that name it as a face of its former user."""
    named = Item.objects.done().filter(user_ids__contains=[was])
    for item in named.select_for_update():
        result = without(item.result, "face_id", lambda text: text == face.face_id)
        if result != item.result:
            item.result = result
            item.save(update_fields=["result"])


def without(result: Any, name: str, is_meant: Callable[[str], bool]) -> Any:
    """The result without the user or face whose id is meant, and with counts that fit.

    `name` is the key of the id: `user_id` or `face_id`.
    """
    match result:
        case {"registration_status": _} if is_meant(result.get(name)):
            return {"registration_status": "erased"}
        case {"candidates": list(candidates), **others}:
            kept = [each for each in candidates if not is_meant(each.get(name))]
            others |= {"candidates": kept, "total_candidates": len(kept)}
            if candidates and not kept:
                others["identification_result"] = "not_found"
            return {key: without(each, name, is_meant) for key, each in others.items()}
        case dict():
            shown = {k: v for k, v in result.items() if k != name or not is_meant(v)}
            return {key: without(each, name, is_meant) for key, each in shown.items()}
        case list():
            return [without(each, name, is_meant) for each in result]
    return result
