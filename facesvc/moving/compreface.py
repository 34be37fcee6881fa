"""Reads the examples of a CompreFace recognition service over its REST API.

https://github.com/exadel-inc/CompreFace/blob/master/docs/Rest-API-description.md
"""

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx

from facesvc.moving.source import MOST_BYTES, NotMovedError, SourceFace, StopError
from facesvc.moving.user_map import UserMap

_FACES = "/api/v1/recognition/faces"
_PAGE = 500
_PASSES = 3  # over a list that changes while it is read
_MOST_LIST_BYTES = 5_000_000  # of a page
_PAUSES = (1, 2, 4)  # seconds before each further try
_BUSY = {502, 503, 504}
_NO_COMPRESSION = {"Accept-Encoding": "identity"}  # or a short answer might become a long one


class CompreFace:
    """Sends the API key to this address alone: no redirect is followed."""

    def __init__(self, url: str, api_key: str, users: UserMap, http: httpx.Client) -> None:
        self._url = url.rstrip("/")
        self._headers = {"x-api-key": api_key, **_NO_COMPRESSION}
        self._users = users
        self._http = http

    def faces(self) -> list[SourceFace]:
        """All examples, each once. Raises StopError."""
        for _ in range(_PASSES):
            subjects: dict[str, str] = {}
            total = 0
            for page in self._pages():
                total = page.get("total_elements", total)
                subjects.update({_id(each): each["subject"] for each in page["faces"]})
            # Pages have no promised order: one may repeat what another has left out.
            if len(subjects) >= total:
                return [self._face(*each) for each in subjects.items()]
        raise StopError("The examples of CompreFace change while they are read: stop its clients.")

    def _face(self, image_id: str, subject: str) -> SourceFace:
        def user() -> str:
            row = self._users.require(image_id, subject)
            return row.user_id if row else subject

        row = self._users.row(image_id, subject)
        name = (row.name if row else "") or subject
        return SourceFace(image_id, name, user, lambda: self._picture(image_id))

    def _pages(self) -> Iterator[dict[str, Any]]:
        for number in range(10**6):
            query = f"{_FACES}?page={number}&size={_PAGE}"
            try:
                status, body = self._get(query, _MOST_LIST_BYTES)
            except NotMovedError as error:
                raise StopError(f"The list of examples: {error}") from None
            if status != httpx.codes.OK:
                raise StopError(f"CompreFace answers {status} to its list of examples{_said(body)}")
            page = _page(body)
            yield page
            # Versions before 0.6 have one page.
            if not page["faces"] or number + 1 >= page.get("total_pages", 1):
                return

    def _picture(self, image_id: str) -> bytes:
        status, body = self._get(f"{_FACES}/{image_id}/img", MOST_BYTES)
        if status != httpx.codes.OK:
            raise NotMovedError("no_picture", f"CompreFace answers {status} to its picture.")
        if not body:
            message = "CompreFace has no picture of it (save_images_to_db=false)."
            raise NotMovedError("no_picture", message)
        return body

    def _get(self, path: str, most: int) -> tuple[int, bytes]:
        """The status and the body. Raises StopError without an answer, NotMovedError if it is too
        long."""
        reason = ""
        for pause in (0, *_PAUSES):
            time.sleep(pause)
            try:
                status, body = self._once(path, most)
            except httpx.TransportError as error:
                reason = str(error) or type(error).__name__
                continue
            if status not in _BUSY:
                return status, body
            reason = f"status {status}"
        raise StopError(f"CompreFace does not answer ({reason}). Run the command again later.")

    def _once(self, path: str, most: int) -> tuple[int, bytes]:
        request = self._http.stream(
            "GET", self._url + path, headers=self._headers, follow_redirects=False
        )
        body = bytearray()
        with request as response:
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > most:
                    raise NotMovedError("too_large", f"The answer has over {most:,} bytes.")
        return response.status_code, bytes(body)


def _page(body: bytes) -> dict[str, Any]:
    """Raises StopError for what is no page of examples. An id becomes a part of an address."""
    try:
        page: dict[str, Any] = json.loads(body)
        numbers = [page.get(name, 1) for name in ("total_pages", "total_elements")]
        texts = [example["subject"] for example in page["faces"]]
        texts += map(_id, page["faces"])
        is_right = all(type(each) is int for each in numbers) and all(
            isinstance(each, str) for each in texts
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        is_right = False
    if not is_right:
        raise StopError("The list of examples is not one of CompreFace. Check the address.")
    return page


def _id(example: dict[str, str]) -> str:
    return str(uuid.UUID(example["image_id"]))


def _said(body: bytes) -> str:
    """The message of an error of CompreFace, if it has one."""
    try:
        return ": " + str(json.loads(body)["message"])[:200]
    except (ValueError, KeyError, TypeError):
        return ". Check the address."
