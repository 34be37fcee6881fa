"""The command: what it is asked, and how it ends."""

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import httpx

from facesvc.client import Client, ClientError
from facesvc.moving import report
from facesvc.moving.compreface import CompreFace
from facesvc.moving.enrolling import Mover
from facesvc.moving.rekognition import Rekognition
from facesvc.moving.report import Report
from facesvc.moving.source import SourceFace, StopError
from facesvc.moving.user_map import UserMap

_HERE = "http://127.0.0.1:8000"
_TIMEOUT = 120.0  # seconds
_LONGEST_WAIT = 3700.0  # seconds: a token that has made its calls of an hour goes on in the next
_TRIES = 8
_LOCAL = {"localhost", "127.0.0.1", "::1"}
_STOPPED = 130  # as of a shell after Ctrl-C


class PeopleSource(Protocol):
    def faces(self) -> list[SourceFace]: ...


def main(arguments: Sequence[str] | None = None) -> int:
    """0: all faces are here. 1: some were refused, or the move has stopped. 2: wrong options."""
    options = _parser().parse_args(arguments)
    try:
        with httpx.Client(timeout=_TIMEOUT) as http, report.opened(options.report) as written:
            return _move(options, http, written)
    except (StopError, ClientError, httpx.InvalidURL, ValueError) as error:
        print(report.printable(str(error)), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return _STOPPED


def _move(options: Namespace, http: httpx.Client, written: Report) -> int:
    """Raises StopError, ClientError, ValueError."""
    token = _secret("TOKEN", options)
    _require_safe(options.to, options)
    client = Client(options.to, token, tries=_TRIES, longest_wait=_LONGEST_WAIT, http=http)
    mover = Mover(
        client,
        options.source,
        options.privacy,
        _consent(options),
        options.largest,
        options.dry_run,
    )
    faces = _source(options, http).faces()
    mover.begin()
    try:
        written.follow(map(mover.move, faces), faces)
    finally:
        print("\n".join(written.summary()))
    return 0 if written.is_complete else 1


def _source(options: Namespace, http: httpx.Client) -> PeopleSource:
    users = UserMap(options.map)
    if options.source == "rekognition":
        return Rekognition(options.lists, options.photos, users)
    _require_safe(options.url, options)
    return CompreFace(options.url, _secret("COMPREFACE_API_KEY", options), users, http)


def _secret(name: str, options: Namespace) -> str:
    """From the environment: other users of a machine see the arguments of a command."""
    secret = os.environ.get(name, "").strip()
    if not secret:
        raise StopError(f"Set {name}: `facesvc move {options.source} --help` says to what.")
    return secret


def _require_safe(url: str, options: Namespace) -> None:
    """Pictures of people and a secret go there."""
    parts = urlsplit(url)
    is_local = parts.scheme == "http" and parts.hostname in _LOCAL
    if parts.scheme == "https" or is_local or (parts.scheme == "http" and options.allow_http):
        return
    raise StopError(
        f"{parts.hostname} would get photos and a secret without encryption. Use https, or "
        "--allow-http in a network that you trust."
    )


def _consent(options: Namespace) -> dict[str, str] | None:
    given_at, text = options.consent_given_at, options.consent_text_version
    if bool(given_at) != bool(text):
        raise StopError("--consent-given-at and --consent-text-version belong together.")
    return {"given_at": given_at, "text_version": text} if given_at else None


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        "facesvc move",
        description="Move people from another service. It may be stopped and run again: faces that "
        "were moved already are left alone.",
    )
    sources = parser.add_subparsers(dest="source", required=True, metavar="SOURCE")
    compreface = sources.add_parser(
        "compreface",
        help="a recognition service of CompreFace, over its REST API",
        description="COMPREFACE_API_KEY is the API key of the recognition service.",
    )
    compreface.add_argument("url", help="where CompreFace is, such as http://localhost:8000")
    rekognition = sources.add_parser(
        "rekognition",
        help="a collection of Amazon Rekognition, with a folder of its photos",
        description="The lists are what `aws rekognition list-faces --collection-id ID` prints.",
    )
    rekognition.add_argument("lists", type=Path, nargs="+", metavar="faces.json")
    rekognition.add_argument(
        "--photos", type=Path, required=True, help="folder with a photo by each ExternalImageId"
    )
    for each in (compreface, rekognition):
        _add_common(each)
    return parser


def _add_common(parser: ArgumentParser) -> None:
    parser.epilog = (
        "TOKEN is the token of a service with face:register, face:manage and, for "
        "--dry-run and group photos, face:identify."
    )
    add = parser.add_argument
    add("--to", default=_HERE, metavar="URL", help="where facesvc is (default: %(default)s)")
    add("--map", type=Path, metavar="CSV", help="which user each id is: columns id and user_id")
    add("--dry-run", action="store_true", help="look at everything, and store nothing")
    add("--report", type=Path, metavar="FILE", help="write a JSON line for each face")
    levels = ("public", "friends", "private")
    text = "privacy level of the users that are created (default: %(default)s)"
    add("--privacy", choices=levels, default="friends", help=text)
    add("--largest", action="store_true", help="of several people enrol the main one")
    add("--consent-given-at", metavar="TIME", help="of all people, with its zone")
    add("--consent-text-version", metavar="NAME", help="what they agreed to")
    add("--allow-http", action="store_true", help="also without encryption, to other machines")
