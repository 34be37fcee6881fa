"""Frames come in, one after the other. The first that finds a member begins a call about them, and
the call decides: it wants several different frames, and not one lucky match."""

from django.contrib.auth import get_user_model
from django.contrib.auth.decorators import user_passes_test
from django.http import JsonResponse
from django.shortcuts import render
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_POST
from faces.client import faces
from faces.views import MEMBERS

from checkin.models import Visit
from facesvc.client import ApiError, ClientError

CALL = "call"  # in the session of the browser at the door: who may be there, and how far it is
MOST_FRAMES = 25
OVER = {"session_ended", "session_not_found"}

at_the_door = user_passes_test(lambda user: user.is_staff)


@at_the_door
@ensure_csrf_cookie
def page(request):
    """The account of the door has no face. As a member it may find the other members."""
    faces().put_user(request.user.pk)
    faces().put_group(MEMBERS)
    faces().put_member(MEMBERS, request.user.pk)
    return render(request, "checkin/page.html")


@at_the_door
@require_POST
def frame(request):
    """Takes one frame, a JPEG. `state` is nobody, verifying, welcome, again or busy."""
    try:
        return JsonResponse(seen(request))
    except ClientError as error:
        if isinstance(error, ApiError) and error.code in OVER:
            request.session.pop(CALL, None)
        return JsonResponse({"state": "busy"})


def seen(request):
    call = request.session.get(CALL) or begun(request)
    if call is None:
        return {"state": "nobody"}
    call["frames"] += 1
    answer = faces().post_frame(call["session_id"], request.body, sequence=call["frames"])
    if answer["state"] == "verifying" and call["frames"] < MOST_FRAMES:
        request.session[CALL] = call
        return {"state": "verifying"}
    request.session.pop(CALL, None)
    faces().end_session(call["session_id"])
    if answer["state"] != "verified":  # somebody else, or nobody any more
        return {"state": "again"}
    user = get_user_model().objects.get(pk=call["user_id"])
    Visit.objects.create(user=user)
    return {"state": "welcome", "name": user.get_username()}


def begun(request):
    """A call about the member who is nearest to the camera, or None."""
    found = faces().identify(
        request.body,
        faces="largest",
        on_behalf_of=request.user.pk,
        search_scope={"user_groups": [MEMBERS], "max_candidates": 1},
    )
    users = [int(each["user_id"]) for each in found["candidates"]]
    if not users:
        return None
    session = faces().open_session(users[0], purpose="video_call")
    return {"user_id": users[0], "session_id": session["session_id"], "frames": 0}
