import logging

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from facesvc.client import CallbackError, verify_callback
from photos.models import Photo, Suggestion
from photos.suggesting import look_for_faces, take_in

log = logging.getLogger(__name__)


@login_required
def upload(request):
    if request.method != "POST":
        return render(request, "photos/upload.html")
    files = request.FILES.getlist("photos")
    photos = [Photo.objects.create(owner=request.user, file=each) for each in files]
    look_for_faces(request.user, photos)
    return JsonResponse({"photos": [photo.pk for photo in photos]}, status=202)


@csrf_exempt  # the signature says who calls
@require_POST
def callback(request):
    try:
        event = verify_callback(settings.FACES_WEBHOOK_SECRET, request.headers, request.body)
    except CallbackError as error:
        log.warning("a callback was refused: %s", error)
        return HttpResponse(status=400)
    take_in(event["data"]["job_id"])  # an error is a 500, and the service calls again
    return HttpResponse(status=204)


@login_required
def suggestions(request, photo_id):
    photo = get_object_or_404(Photo, pk=photo_id, owner=request.user)
    rows = Suggestion.objects.filter(photo=photo, is_confirmed=None).select_related("user")
    found = [
        {
            "id": row.pk,
            "box": row.box,
            "name": row.user.get_username() if row.user else None,
            "confidence": row.confidence,
        }
        for row in rows.order_by("pk")
    ]
    is_ready = photo.looked_at is not None
    return JsonResponse({"is_ready": is_ready, "problem": photo.problem, "suggestions": found})


@login_required
@require_POST
def decide(request, suggestion_id):
    """The owner says whether it is this person. Only then it is a tag that others see."""
    row = get_object_or_404(Suggestion, pk=suggestion_id, photo__owner=request.user)
    row.is_confirmed = request.POST.get("is_right") == "yes"
    row.save()
    return HttpResponse(status=204)
