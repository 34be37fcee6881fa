import logging
import secrets

from django.conf import settings
from django.contrib.auth import authenticate, get_user_model, login
from django.contrib.auth.decorators import login_required
from django.http import JsonResponse
from django.shortcuts import redirect, render
from django.utils.timezone import now
from django.views.decorators.http import require_POST

from faces.client import faces
from facesvc.client import ApiError, ClientError

DEVICE = "device"  # the cookie that tells a known browser from others
CONSENT = "2026-11"  # the version of the text that people agree to
MEMBERS = "members"  # the group of those who may tag each other
MOST_BYTES = 10_000_000  # facesvc takes no larger picture
FAILED = "That did not work. Take a new picture in a minute, or log in with your password."
# Errors about the picture say what to do. Your own words for a code come here, in your languages.
OF_THE_PICTURE = {400, 409, 413, 415, 422}
WORDS = {
    "empty_image": "There is no picture, or one of more than 10 MB.",
    "multiple_faces": "There are several faces on the picture. Take one of you alone.",
}

log = logging.getLogger(__name__)


def picture_of(request):
    """The bytes of the picture in the form, or None. Strangers may send files of any size."""
    photo = request.FILES.get("photo")
    return photo.read() if photo and photo.size <= MOST_BYTES else None


def log_in(request):
    device = request.COOKIES.get(DEVICE) or secrets.token_urlsafe(32)
    given = {"username": request.POST.get("username"), "photo": picture_of(request)}
    user = None
    if request.method == "POST":
        try:
            user = authenticate(request, device=device, **given)
        except ClientError as error:  # the service is away, or refuses: too many attempts
            log.warning("a login by face failed: %s", error)
    if user is not None:
        login(request, user)
        response = redirect(settings.LOGIN_REDIRECT_URL)
    else:
        # One sentence for all reasons, or strangers would learn which users there are.
        problem = FAILED if request.method == "POST" else ""
        response = render(request, "faces/login.html", {"problem": problem})
    is_secure = not settings.DEBUG
    response.set_cookie(DEVICE, device, max_age=63072000, httponly=True, secure=is_secure)
    return response


@login_required
def enrol(request):
    if request.method != "POST":
        return render(request, "faces/enrol.html")
    if not request.POST.get("consent"):
        return render(request, "faces/enrol.html", {"problem": "Please agree first."})
    user = request.user
    consent = {"given_at": now().isoformat(), "text_version": CONSENT}
    try:
        faces().put_user(user.pk, display_name=user.get_username())  # may have chosen who sees them
        faces().put_group(MEMBERS)
        faces().put_member(MEMBERS, user.pk)
        faces().register(user.pk, picture_of(request) or b"", metadata={"consent": consent})
    except ClientError as error:  # no face, several faces, a bad picture, no service
        problem, _ = refusal(error)
        return render(request, "faces/enrol.html", {"problem": problem})
    return redirect(settings.LOGIN_REDIRECT_URL)


def refusal(error):
    """What the person may read about an error, and the status. A mistake of this app is logged."""
    if isinstance(error, ApiError) and error.status in OF_THE_PICTURE:
        return WORDS.get(error.code, error.message), error.status
    log.error("the service did not do it: %s", error)
    return "Please try again later.", 503


@login_required
@require_POST
def forget(request):
    """The consent is withdrawn: all faces go, and the user stays."""
    for face in [*faces().iter_faces(request.user.pk)]:
        faces().delete_face(face["face_id"])
    return redirect(settings.LOGIN_REDIRECT_URL)


@login_required
@require_POST
def tag(request):
    """Who may be on a photo: suggestions, which the user of your app confirms."""
    try:
        found = faces().identify(
            picture_of(request) or b"",
            on_behalf_of=request.user.pk,
            search_scope={"user_groups": [MEMBERS]},
            metadata={"source": "auto_tagging"},  # obeys what people say about tags
        )
    except ClientError as error:
        problem, status = refusal(error)
        return JsonResponse({"problem": problem}, status=status)
    ids = {int(each["user_id"]) for face in found["faces"] for each in face["candidates"]}
    users = get_user_model().objects.in_bulk(ids)
    return JsonResponse({"faces": [suggestion(face, users) for face in found["faces"]]})


def suggestion(face, users):
    ids = [int(each["user_id"]) for each in face["candidates"]]
    return {"box": face["box"], "names": [users[each].get_username() for each in ids]}
