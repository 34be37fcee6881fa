"""A login by face is one more way to authenticate, beside the password."""

import logging

from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend

from faces.client import faces

log = logging.getLogger(__name__)


class FaceBackend(ModelBackend):
    def authenticate(self, request, username=None, photo=None, device="", **others):
        """The user, if `photo` (bytes, taken just now) shows them. Raises ClientError."""
        users = get_user_model().objects
        user = users.filter(username=username).first() if photo else None
        if user is None or not self.user_can_authenticate(user):
            return None
        about = {"device_id": device}
        session = faces().open_session(user.pk, purpose="login", metadata=about)
        session_id = session["session_id"]
        answer = faces().verify(user.pk, photo, metadata={**about, "session_id": session_id})
        if faces().get_session(session_id)["state"] == "verified":
            return user
        factors = answer["risk_assessment"]["factors"]
        log.warning("no login of %s: %s %s", user.pk, answer["verification_result"], factors)
        return None
