"""A client of the API: `Client` for threads, `AsyncClient` for asyncio. It needs httpx alone.

    with Client("https://faces.example.com", token) as faces:
        faces.register("user-17", "photo.jpg")

docs/client.md has examples. `answers` has the types of what calls answer, made from the API
description.
"""

from facesvc.client import answers
from facesvc.client.callbacks import verify_callback
from facesvc.client.clients import AsyncClient, Client, LiveCall
from facesvc.client.errors import (
    ApiError,
    CallbackError,
    ClientError,
    UnfinishedJobError,
    UnreachableError,
)
from facesvc.client.pictures import Picture

__all__ = [
    "ApiError",
    "AsyncClient",
    "CallbackError",
    "Client",
    "ClientError",
    "LiveCall",
    "Picture",
    "UnfinishedJobError",
    "UnreachableError",
    "answers",
    "verify_callback",
]
