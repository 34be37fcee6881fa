"""Reads what `aws rekognition list-faces` has written, and the photos in a folder.

Rekognition keeps no photos: you have them. `ExternalImageId` says which one is whose.
https://docs.aws.amazon.com/rekognition/latest/APIReference/API_Face.html
"""

import json
import uuid
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from facesvc.moving.boxes import Place
from facesvc.moving.source import MOST_BYTES, NotMovedError, SourceFace, StopError
from facesvc.moving.user_map import UserMap

_SUFFIXES = (".jpg", ".jpeg", ".png")


class Rekognition:
    """The faces of a collection, and the photos that they were taken from."""

    def __init__(self, lists: Sequence[Path], photos: Path, users: UserMap) -> None:
        """Raises StopError."""
        if not photos.is_dir():
            raise StopError(f"{photos} is not a folder.")
        self._root = photos.resolve()
        self._users = users
        self._records = {record["FaceId"]: record for record in _records(lists)}
        self._of_image = Counter(map(_image_of, self._records.values()))
        self._images: dict[str, set[str]] = {}  # by ExternalImageId
        for record in self._records.values():
            self._images.setdefault(_external(record), set()).add(_image_of(record))

    def faces(self) -> list[SourceFace]:
        return [self._face(record) for record in self._records.values()]

    def _face(self, record: dict[str, Any]) -> SourceFace:
        box = record.get("BoundingBox")
        row = self._users.row(*self._ids(record))
        return SourceFace(
            record["FaceId"],
            row.name if row else "",
            lambda: self._user(record),
            lambda: self._photo(record),
            place=Place(box["Left"], box["Top"], box["Width"], box["Height"]) if box else None,
            is_of_group=self._is_of_group(record),
        )

    def _ids(self, record: dict[str, Any]) -> list[str]:
        """In the order in which the map is asked. The photo does not say whose one of its faces
        is."""
        external = [] if self._is_of_group(record) else [_external(record)]
        return [record["FaceId"], *filter(None, [record.get("UserId"), *external])]

    def _is_of_group(self, record: dict[str, Any]) -> bool:
        return self._of_image[_image_of(record)] > 1

    def _user(self, record: dict[str, Any]) -> str:
        row = self._users.require(*self._ids(record))
        if row:
            return row.user_id
        if user := record.get("UserId"):
            return str(user)
        if self._is_of_group(record):
            message = "Several faces have this photo: give the user of each FaceId with --map."
            raise NotMovedError("several_people", message)
        return _stem(_external(record))

    def _photo(self, record: dict[str, Any]) -> bytes:
        external = _external(record)
        own, shared = self._users.row(record["FaceId"]), self._users.row(external)
        if own and own.photo:
            return self._read(own.photo)
        if not external:
            raise NotMovedError("no_photo", "It has no ExternalImageId: name its photo with --map.")
        if len(self._images[external]) > 1:
            message = f"Several photos had the ExternalImageId {external}: name each with --map."
            raise NotMovedError("several_photos", message)
        if shared and shared.photo:
            return self._read(shared.photo)
        names = [external, *(external + suffix for suffix in _SUFFIXES)]
        name = next((each for each in names if self._path(each).is_file()), external)
        return self._read(name)

    def _path(self, name: str) -> Path:
        """A path inside of the folder, also behind links. Raises NotMovedError."""
        try:
            path = (self._root / name).resolve()
        except (OSError, ValueError, RuntimeError):  # a null byte, or a circle of links
            path = Path()
        if not path.is_relative_to(self._root) or path == self._root:
            raise NotMovedError("unsafe_path", "Its photo would not be inside of the folder.")
        return path

    def _read(self, name: str) -> bytes:
        path = self._path(name)
        try:
            if not path.is_file():  # a folder, or a pipe that never ends
                raise NotMovedError("no_photo", f"The folder has no photo {name}.")
            with path.open("rb") as file:
                data = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise NotMovedError("unreadable", f"{name}: {error.strerror}.") from None
        if len(data) > MOST_BYTES:
            raise NotMovedError("too_large", f"{name} has over {MOST_BYTES:,} bytes.")
        return data


def _external(record: dict[str, Any]) -> str:
    return str(record.get("ExternalImageId") or "")


def _image_of(record: dict[str, Any]) -> str:
    return str(record.get("ImageId") or record["FaceId"])


def _stem(name: str) -> str:
    """A file name without the suffix of a picture. Raises NotMovedError without a name."""
    if not name:
        raise NotMovedError("no_user", "It has neither UserId nor ExternalImageId: use --map.")
    suffix = next((each for each in _SUFFIXES if name.lower().endswith(each)), "")
    return name[: -len(suffix)] if len(suffix) < len(name) and suffix else name


def _records(lists: Sequence[Path]) -> list[dict[str, Any]]:
    pages = [_page(path) for path in lists]
    if sum(1 for page in pages if page.get("NextToken")) >= len(pages):
        raise StopError("The list is not whole, since it has a NextToken. Leave out --max-items.")
    records = [record for page in pages for record in page["Faces"]]
    for record in records:
        _check(record)
    return records


def _page(path: Path) -> dict[str, Any]:
    try:
        page = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise StopError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise StopError(f"{path} is no JSON file: {error}") from error
    if not isinstance(page, dict) or not isinstance(page.get("Faces"), list):
        raise StopError(f"{path} is not what `aws rekognition list-faces` writes.")
    return page


def _check(record: Any) -> None:
    """Raises StopError for what is not a Face of Rekognition."""
    try:
        uuid.UUID(record["FaceId"])
        box = record.get("BoundingBox")
        numbers = [box[name] for name in ("Left", "Top", "Width", "Height")] if box else []
        texts = [record.get(name) or "" for name in ("ExternalImageId", "ImageId", "UserId")]
        is_right = all(type(each) in (int, float) for each in numbers) and all(
            isinstance(each, str) for each in texts
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        is_right = False
    if not is_right:
        raise StopError(f"This is no face of Rekognition: {json.dumps(record)[:200]}")
