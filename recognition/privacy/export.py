"""All that is held about a person, for the person: JSON, and the kept pictures of their faces."""

import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Q

from recognition import audit, models, people
from recognition.errors import ServiceError
from recognition.models.user_ids import UserId, in_texts
from recognition.privacy import sealing
from recognition.privacy.keeping import NOT_SHOWN, Person, Row, Section, by, sections
from recognition.privacy.sealing import UnreadableError


def _part_of_answer(row: Row, person: Person) -> Row:
    answer = json.loads(row["answer"])
    if row["subject"] != str(person.id):
        answer = hits(answer, [person.id])
    return {**row, "user_ids": [person.id], "answer": answer}


def hits(value: Any, ids: Sequence[UUID]) -> list[Row]:
    """The objects of an answer that are about the user of these keys."""
    match value:
        case {"user_id": str(text)} if UserId(text) in ids:
            return [value]
        case dict():
            return [hit for each in value.values() for hit in hits(each, ids)]
        case list():
            return [hit for each in value for hit in hits(each, ids)]
    return []


def _in_audit(person: Person) -> Q:
    ids = person.ids
    about = Q(user_id__in=ids) | Q(other_user_id__in=ids) | Q(viewer_id__in=ids)
    return about | Q(actor__in=[f"user:{each}" for each in ids])


def _part_of_event(row: Row, person: Person) -> Row:
    """The event as its user may read it: without the other person in it."""
    ids = person.ids
    if row["other_user_id"] not in ids:
        row = {**row, "other_user_id": None}
    if row["user_id"] in ids or row["actor"] in [f"user:{each}" for each in ids]:
        return row
    return {**row, "user_id": None, "face_id": "", "details": {}}


def _part_of_pair(row: Row, person: Person) -> Row:
    """The possible duplicate without the other person in it."""
    other = "b" if row["user_a_id"] == person.id else "a"
    return {**row, f"user_{other}_id": None, f"face_{other}_id": None}


SECTIONS = [
    Section("user", models.User, by("pk")),
    Section("faces", models.Face, by("user_id")),
    Section("kept_pictures", models.FaceCrop, by("face__user_id"), frozenset({"sealed"})),
    Section("new_faces", models.NewFace, by("face__user_id")),
    Section("templates", models.Template, by("user_id"), frozenset({"embedding"})),
    Section("search_sketches", models.Sketch, by("template__user_id"), frozenset({"bits"})),
    Section("public_sketches", models.PublicSketch, by("template__user_id"), frozenset({"bits"})),
    Section("search_listings", models.Listing, by("user_id")),
    Section("friends", models.Friendship, by("user_id")),
    Section("groups", models.Membership, by("user_id"), more=("group__name",)),
    Section("sessions", models.Session, by("user_id")),
    Section("attempts", models.Attempt, by("user_id")),
    Section("faces_of_used_pictures", models.RecentProbe, by("user_id"), frozenset({"embedding"})),
    Section("failures", models.FailureCount, by("user_id")),
    Section(
        "answers_for_repeated_requests",
        models.IdempotencyKey,
        lambda person: Q(subject=str(person.id)) | Q(user_ids__contains=[person.id]),
        frozenset({"fingerprint"}),
        part=_part_of_answer,
    ),
    Section("former_ids", models.MergedUser, by("into")),
    Section(
        "possible_duplicates",
        models.PossibleDuplicate,
        lambda person: Q(user_a=person.id) | Q(user_b=person.id),
        part=_part_of_pair,
    ),
    Section("audit_log", models.AuditEvent, _in_audit, part=_part_of_event),
]

ABOUT = f"""\
This archive has everything that the face recognition service holds about one user.

data.json         one list for each kind of record. Times are UTC. `user_id` is the user's id;
                  other ids are those of friends, groups, jobs and so on. `{NOT_SHOWN}` stands for
                  what is left out, see below. What is about several people has this user's part.
pictures/         the kept small pictures of the enrolled faces, by face_id, as JPEG. A picture
                  whose key is lost cannot be read by anybody and is not here: its `file` is null.

Left out, and why:
- the templates of the faces, sketches of them and those of used pictures included: numbers that
  only this service can compare, turned by a secret of the service, which they would give away
  together with the pictures;
- encrypted data as it is stored, secrets of callbacks, fingerprints of requests;
- the text of failed internal tasks.
Hashes of pictures and of device ids are keyed: nobody can tell a picture or a device from them.
Pictures that wait in a job are listed, and deleted as soon as they are done.
The service's own log files and backups are not part of the database, and not of this archive.
"""


def export(*, actor: str, user_id: UUID, asked_by: str) -> bytes:
    """A zip archive. The audit log says who asked for it, before it is made.

    Raises user_not_found when nothing is held, user_merged.
    """
    people.require_not_merged(user_id)
    person = Person.of(user_id)
    if not any(next(section.rows(person), None) for section in sections()):
        raise ServiceError("user_not_found", "Nothing is held about such a user.")
    audit.note(actor, "user.export", user_id=user_id, asked_by=asked_by)
    data = {section.name: [*section.rows(person)] for section in sections()}
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("README.txt", ABOUT)
        pictures = dict(_pictures(user_id))
        for row in data["kept_pictures"]:
            row["file"] = None
            if picture := pictures.get(row["face_id"]):
                row["file"], content = picture
                file.writestr(row["file"], content)
        texts = people.texts_of(_keys_in(data))
        shown = in_texts(data, texts)
        file.writestr("data.json", json.dumps(shown, cls=DjangoJSONEncoder, indent=2))
    return archive.getvalue()


def _keys_in(value: Any) -> set[UUID]:
    """The keys of users, and other UUIDs."""
    match value:
        case UUID():
            return {value}
        case dict():
            return set().union(*map(_keys_in, value.values()))
        case list():
            return set().union(*map(_keys_in, value))
    return set()


def _pictures(user_id: UUID) -> Iterator[tuple[int, tuple[str, bytes]]]:
    """File names and JPEGs of the crops that a key opens, by the primary keys of faces."""
    if not sealing.is_possible():
        return
    crops = models.FaceCrop.objects.filter(face__user=user_id).select_related("face")
    for crop in crops.iterator(10):
        try:
            yield crop.face_id, (f"pictures/{crop.face}.jpg", sealing.unseal(bytes(crop.sealed)))
        except UnreadableError:
            continue
