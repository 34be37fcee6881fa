import hashlib
import unicodedata
from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.db import transaction
from tqdm import tqdm

from facesvc.management.service_command import CommandInOne
from recognition import people
from recognition.enrolment import enrolling
from recognition.enrolment.enrolling import EnrolmentRequest
from recognition.errors import ServiceError
from recognition.inference.images import ImageError
from recognition.measuring.photos import Photo, find_photos, name_in
from recognition.models import Face, PrivacyLevel, User
from recognition.models.user_ids import InvalidUserIdError, UserId
from recognition.packs import engine
from recognition.privacy import consent


class Command(CommandInOne):
    help = (
        "Enrol a folder of photos: one subfolder a person, or the name in the file name. "
        "The name of the subfolder is the user id. "
        "May be stopped and run again: photos that are enrolled already are left alone."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument(
            "--privacy",
            choices=PrivacyLevel.values,
            default=PrivacyLevel.FRIENDS.value,
            help="privacy level of the users that are created (default: %(default)s)",
        )
        parser.add_argument(
            "--largest",
            action="store_true",
            help="in a photo of several people enrol the main one, who has the largest face",
        )
        parser.add_argument(
            "--consent-given-at", metavar="TIME", help="of all people in the folder, with its zone"
        )
        parser.add_argument("--consent-text-version", metavar="NAME", help="what they agreed to")

    def handle(self, *args: Any, **options: Any) -> None:
        folder: Path = options["folder"]
        if not folder.is_dir():
            raise CommandError(f"{folder} is not a folder.")
        metadata = _consent(options["consent_given_at"], options["consent_text_version"])
        engine.current()  # a pack that cannot serve is reported before the first photo
        photos = list(find_photos(folder))
        outcomes: Counter[str] = Counter()
        # Without a terminal there is no bar, which would stand between the lines.
        for photo in tqdm(photos, unit="photo", desc="Enrolling", disable=None):
            face_index = 0 if options["largest"] else None
            name = name_in(photo.path.relative_to(folder))
            outcome = _enrol(photo, name, options["privacy"], metadata, face_index)
            outcomes[outcome.split(":")[0]] += 1
            with tqdm.external_write_mode():  # or the bar and the line would run into each other
                self.stdout.write(f"{photo.path.relative_to(folder)}: {outcome}")
        summary = ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items()))
        self.stdout.write(f"{len(photos)} photos: {summary or 'nothing to do'}.")
        if outcomes["enrolled"] and options["privacy"] != PrivacyLevel.PUBLIC:
            self.stdout.write(
                f"New users are {options['privacy']}: a search for the public does not find them "
                "(--privacy public)."
            )


def _consent(given_at: str | None, text_version: str | None) -> dict[str, Any]:
    """The consent as metadata of a face; empty without one."""
    if given_at is None and text_version is None:
        return {}
    given = {"given_at": given_at, "text_version": text_version}
    if problem := consent.problem_with(given):
        raise CommandError(problem)
    return {consent.CONSENT: given}


def _enrol(
    photo: Photo, name: str, privacy: str, metadata: dict[str, Any], face_index: int | None
) -> str:
    """What became of the photo. `name` is the user id."""
    if not photo.person:
        return "refused: no_name. The file name does not say who it is."
    try:
        # Some file systems change the normal form of names.
        user_id = UserId(unicodedata.normalize("NFC", name))
    except InvalidUserIdError as error:
        return f"refused: invalid_request. {error}"
    try:
        data = photo.path.read_bytes()
    except OSError as error:
        return f"refused: unreadable. {error.strerror}"
    digest = hashlib.sha256(data).hexdigest()
    # Known by its contents, so that a second run need not look at the picture again.
    known = Face.objects.filter(user=user_id, metadata__file_sha256=digest).first()
    if known:
        return f"already enrolled: {known.face_id}"
    try:
        with transaction.atomic():
            people.require_not_merged(user_id)
            # A refused photo must not leave a user without faces.
            shown = {"display_name": photo.person, "privacy_level": privacy}
            User.objects.get_or_create(pk=user_id, defaults={"given_id": user_id.given, **shown})
            own = {"source": "enrol_folder", "file": photo.path.name, "file_sha256": digest}
            request = EnrolmentRequest(
                "command:enrol_folder",
                user_id,
                face_index=face_index,
                metadata={**metadata, **own},
            )
            face = enrolling.enrol(data, request)
    except ServiceError as error:
        if error.code == "duplicate_face":
            return f"already enrolled: {error.details['face_id']}"
        return _refusal(error)
    except ImageError as error:
        return f"refused: {error.code}. {error}"
    return f"enrolled: {face.face_id}"


def _refusal(error: ServiceError) -> str:
    if error.code == "multiple_faces":
        return f"refused: {error.code}. --largest enrols the main person of such a photo."
    reasons = ", ".join(error.details.get("reasons", []))
    return f"refused: {error.code}{f' ({reasons})' if reasons else ''}. {error}"
