"""Writes an event of the audit log as a sentence, with links to the person and the face.

An action without a sentence is shown by its name. Details that the sentence does not mention follow
it, so that nothing of an event is hidden.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from recognition.admin.kit import in_words, link, spaced
from recognition.models import AuditEvent, Face, User

# The names in braces are those of `_values` and of the event's details.
SENTENCES = {
    "collection.erase": _lazy(
        "{actor} erased the collection {collection} with {users} users and {faces} faces"
    ),
    "collection.export": _lazy(
        "{actor} wrote the collection {collection} into a file, with {users} users and "
        "{faces} faces"
    ),
    "collection.import": _lazy(
        "{actor} made the collection {collection} of a file, with {users} users and {faces} faces"
    ),
    "collection.make": _lazy("{actor} made the collection {collection}"),
    "collection.resume": _lazy("{actor} ended the suspension of the collection {collection}"),
    "collection.rules": _lazy("{actor} changed rules of the collection {collection}"),
    "collection.suspend": _lazy("{actor} suspended the collection {collection}"),
    "duplicate.decide": _lazy("{actor} decided about {person} and {other}: {decision}"),
    "face.change": _lazy("{actor} changed {fields} of {face} of {person}"),
    "face.delete": _lazy("{actor} deleted {face} of {person}"),
    "face.find_by_photo": _lazy("{actor} looked for somebody by a photo: {candidates} were shown"),
    "face.list": _lazy("{actor} looked at a page of pictures"),
    "face.move": _lazy("{actor} moved {face} from {person} to {other}"),
    "face.register": _lazy("{actor} enrolled {face} for {person}"),
    "face.suspend": _lazy("{actor} suspended {face} of {person}"),
    "face.unlike_others": _lazy("{actor} noted that {face} resembles no other face of {person}"),
    "face.unsuspend": _lazy("{actor} ended the suspension of {face} of {person}"),
    "face.view": _lazy("{actor} looked at {face} of {person}"),
    "friendship.create": _lazy("{actor} made {person} and {other} friends"),
    "friendship.delete": _lazy("{actor} ended the friendship of {person} and {other}"),
    "graph.import": _lazy("{actor} imported friendships and groups"),
    "group.create": _lazy("{actor} made the group {group}"),
    "group.delete": _lazy("{actor} removed the group {group} with {members} members"),
    "identify.everyone": _lazy("{actor} searched everyone, whatever their privacy"),
    "job.cancel": _lazy("{actor} cancelled the job {job_id} ({kind}, {total} pictures)"),
    "job.submit": _lazy("{actor} handed in the job {job_id} ({kind}, {total} pictures)"),
    "key.make": _lazy("{actor} made the key {key_id} of the service {service}"),
    "key.revoke": _lazy("{actor} revoked the key {key_id} of the service {service}"),
    "key.rotate": _lazy("{actor} made the key {key_id} of {service} in place of {rotated_from}"),
    "membership.create": _lazy("{actor} put {person} into the group {group}"),
    "membership.delete": _lazy("{actor} took {person} out of the group {group}"),
    "model.calibrate": _lazy("{actor} let the scores of {pack} mean what {source} says"),
    "model.cancel_measurement": _lazy("{actor} cancelled the measurement of {pack}"),
    "model.measure": _lazy("{actor} had {pack} measured on the people enrolled"),
    "model.activate": _lazy(
        "{actor} changed the model from {from} to {to}; {faces_missing} faces lost"
    ),
    "request.replay": _lazy("{actor} repeated a request to {path} and got its first answer"),
    "session.end": _lazy("{actor} ended a session of {person}"),
    "user.change": _lazy("{actor} changed {fields} of {person}"),
    "user.create": _lazy("{actor} added {person}"),
    "user.erase": _lazy("{actor} erased {person}; the receipt is {receipt_id}"),
    "user.export": _lazy("{actor} exported all that is stored of {person}"),
    "user.merge": _lazy("{actor} merged {person} into {other}"),
    "user.suspend": _lazy("{actor} suspended {person}"),
    "user.unlock": _lazy("{actor} unlocked {person}"),
    "user.unsuspend": _lazy("{actor} ended the suspension of {person}"),
    "user.view": _lazy("{actor} looked at the page of {person}"),
    "webhook.enable": _lazy("{actor} enabled the address {address} of {client}"),
    "webhook.replay": _lazy("{actor} sent the callback {message_id} again"),
}
# Shown in place of what an erasure removed from an event.
_GONE = "…"
# Keys of the details that name a second person.
_OTHER = "friend_id"


@dataclass(frozen=True)
class Names:
    """The people and faces of some events, if they still exist."""

    users: Mapping[str, User]
    faces: Mapping[str, Face]

    @classmethod
    def of(cls, events: Iterable[AuditEvent]) -> "Names":
        """Loads the names with two statements, however many events there are."""
        events = list(events)
        ids = {each for event in events for each in event.people}
        face_ids = {event.face_id for event in events if event.face_id}
        users = User.objects.only("pk", "given_id", "display_name").in_bulk(list(ids))
        faces = Face.objects.only("pk", "face_id").in_bulk(list(face_ids), field_name="face_id")
        return cls({str(pk): user for pk, user in users.items()}, faces)

    def person(self, user_id: Any) -> str:
        """A link with the name, or the id of a deleted person."""
        if not user_id:
            return _("nobody")
        if user := self.users.get(str(user_id)):
            return link(user)
        return _("a person who is gone ({id})").format(id=user_id)

    def face(self, face_id: str) -> str:
        if face := self.faces.get(face_id):
            return link(face, _("face {id}").format(id=face_id))
        gone = _("a face that is gone ({id})").format(id=face_id)
        return gone if face_id else _("a face")

    def actor(self, actor: str) -> str:
        kind, __, name = actor.partition(":")
        if kind == "user" and name in self.users:
            return link(self.users[name])
        return format_html("<strong>{}</strong>", actor)


def _other(event: AuditEvent) -> Any:
    return event.other_user_id or event.details.get(_OTHER)


def sentence(event: AuditEvent, names: Names) -> SafeString:
    """The event as safe HTML, with names, links and all other details."""
    text = str(SENTENCES.get(event.action, "{actor}: {action}"))
    values = _values(event, names)
    used = _in_braces(text)
    said = format_html(text, **values, **dict.fromkeys(used - set(values), _GONE))
    if event.user_id and event.action not in SENTENCES:
        said = format_html(_("{}, about {}"), said, values["person"])
    return said + _rest(event, names, used)


def _in_braces(text: str) -> set[str]:
    return {part[1] for part in Formatter().parse(text) if part[1]}


def label(action: str) -> str:
    """The action without its people, for lists of actions."""
    text = str(SENTENCES[action]).removeprefix("{actor} ").partition(":")[0].partition(";")[0]
    text = text.partition(" (")[0]
    words = {"person": _("a person"), "other": _("another person"), "face": _("a face")}
    named = {name: words.get(name, _GONE) for name in _in_braces(text)}
    return text.format(**named)


def _values(event: AuditEvent, names: Names) -> dict[str, Any]:
    details = {key: _worded(key, value) for key, value in event.details.items()}
    return {
        **details,
        "actor": names.actor(event.actor),
        "action": spaced(event.action.replace(".", " ")),
        "person": names.person(event.user_id),
        "other": names.person(_other(event)),
        "face": names.face(event.face_id),
    }


def _rest(event: AuditEvent, names: Names, used: set[str]) -> SafeString:
    """What the sentence does not say: the reason, then on whose behalf, then the details."""
    parts: list[tuple[str, Any]] = []
    if reason := event.details.get("reason"):
        parts.append((_("because"), _said(reason)))
    if viewer := event.viewer_id:
        parts.append((_("on behalf of"), names.person(viewer)))
    hidden = {*used, _OTHER, "reason"}
    parts += [
        (f"{spaced(key)}:", _worded(key, value))
        for key, value in event.details.items()
        if key not in hidden
    ]
    if not parts:
        return mark_safe("")
    listed = format_html_join("; ", "{} {}", parts)
    return format_html(' <span class="quiet">({})</span>', listed)


def _worded(key: str, value: Any) -> str:
    """A detail in words; an id stays as it is, so that one can search for it."""
    return str(value) if key.endswith("_id") else _said(value)


def _said(value: Any) -> str:
    """A code, such as the name of a field, in words."""
    return in_words(value, lambda text: spaced(text) if text.isidentifier() else text)
