"""Photos go to facesvc in batches, and suggestions come back when a batch is done."""

import logging

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils.timezone import now
from faces.client import faces
from faces.views import MEMBERS

from facesvc.client import ClientError
from photos.models import Photo, Suggestion

log = logging.getLogger(__name__)

MOST = 20  # photos of a batch: each has 10 MB at most, and a batch 200


def look_for_faces(owner, photos):
    """Asks who is on the photos, as their owner may know. The answers come to the callback."""
    for start in range(0, len(photos), MOST):
        some = photos[start : start + MOST]
        try:
            faces().batch_identify(
                [{"image_id": str(photo.pk), "image": photo.file.path} for photo in some],
                on_behalf_of=owner.pk,
                search_scope={"user_groups": [MEMBERS]},
                metadata={"source": "auto_tagging"},  # obeys what people say about tags
                processing_options={
                    "async": True,
                    "callback_url": f"{settings.APP_URL}/photos/callback/",
                },
            )
        except ClientError as error:  # the photos are stored: your app can send them again
            log.error("photos were not sent: %s", error)
            ids = [photo.pk for photo in some]
            Photo.objects.filter(pk__in=ids, looked_at=None).update(problem="not_sent")


def take_in(job_id):
    """Stores the suggestions of a job. A second time it does nothing: a callback may come twice."""
    for item in faces().iter_batch_results(job_id):
        if item["status"] == "success":
            keep(int(item["image_id"]), item["result"]["faces"])
        else:  # it cannot be read, for example, or the job ended before its turn
            problem = item["error"]["code"] if "error" in item else item["status"]
            Photo.objects.filter(pk=int(item["image_id"])).update(problem=problem)


@transaction.atomic
def keep(photo_id, found):
    photo = Photo.objects.select_for_update().filter(pk=photo_id, looked_at=None).first()
    if photo is None:  # deleted, or taken in before
        return
    best = [(face["box"], face["candidates"][0] if face["candidates"] else None) for face in found]
    users = get_user_model().objects.in_bulk([int(each["user_id"]) for _, each in best if each])
    for box, candidate in best:
        user = users.get(int(candidate["user_id"])) if candidate else None
        confidence = candidate["confidence_score"] if user else None
        Suggestion.objects.create(photo=photo, box=box, user=user, confidence=confidence)
    photo.looked_at, photo.problem = now(), ""
    photo.save()
