"""The client of facesvc. The token stays on this server: it can see and erase everybody."""

import time
from functools import cache

import jwt
from django.conf import settings

from facesvc.client import Client

NAME = "my-app"
SCOPES = "face:register face:verify face:identify face:manage face:batch"


def token():
    claims = {"sub": NAME, "client_id": NAME, "scope": SCOPES, "exp": int(time.time()) + 300}
    return jwt.encode(claims, settings.FACES_JWT_SECRET, algorithm="HS256")


@cache
def faces():
    """One client for each process. A person waits for its answers, so it does not wait long."""
    return Client(settings.FACES_URL, token, longest_wait=5)
