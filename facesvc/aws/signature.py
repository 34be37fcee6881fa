"""Signature Version 4: who signed a request, and whether the request is as it was signed.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html

The signature stands in the header Authorization, or in the query of an address that was signed
ahead. As AWS does, a request may be repeated as long as its date is accepted: the date is all that
ends it. The body always counts, though other services of AWS take `UNSIGNED-PAYLOAD`.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Self
from urllib.parse import parse_qsl, quote

from django.http import HttpRequest

from facesvc.aws.errors import AwsError

SERVICE = "rekognition"
ALGORITHM = "AWS4-HMAC-SHA256"
_TERMINATOR = "aws4_request"
# How far a clock may be off, either way.
_SKEW = timedelta(minutes=5)
_LONGEST = timedelta(days=7)  # of an address that is signed ahead
_TIME = "%Y%m%dT%H%M%SZ"
_REGION = re.compile(r"[a-z0-9-]{1,64}")
_KEY_ID = re.compile(r"[A-Za-z0-9_]{1,128}")
_SPACES = re.compile(r"[ \t]+")
_UNRESERVED = "-_.~"


@dataclass(frozen=True)
class Signed:
    """What a request says about its signature. `lasts` is that of a signature in the query."""

    access_key_id: str
    scope: tuple[str, str, str]  # the day, the region and the service
    headers: tuple[str, ...]  # names in lower case, in the order of the request
    signature: str
    at: str  # as _TIME
    lasts: timedelta | None = None

    @classmethod
    def of(cls, request: HttpRequest) -> Self:
        """Raises MissingAuthenticationTokenException, IncompleteSignatureException and, of a scope
        that is not ours, InvalidSignatureException.
        """
        query = dict(parse_qsl(request.META.get("QUERY_STRING", ""), keep_blank_values=True))
        if "Authorization" in request.headers:
            return cls._of(_parts(request.headers["Authorization"]), _date_of(request), None)
        if "X-Amz-Algorithm" in query:
            return cls._of(_parts_of(query), query["X-Amz-Date"], _seconds(query["X-Amz-Expires"]))
        raise AwsError("MissingAuthenticationTokenException", "Missing Authentication Token")

    @classmethod
    def _of(cls, parts: Mapping[str, str], at: str, lasts: timedelta | None) -> Self:
        access_key_id, *scope = parts["Credential"].rsplit("/", 4)
        if len(scope) != 4:
            raise _incomplete(
                "Credential must have at least 5 slash-delimited elements, e.g. "
                f"keyid/date/region/service/term, got '{parts['Credential'][:200]}'"
            )
        if not _KEY_ID.fullmatch(access_key_id):
            raise _incomplete("The access key id in Credential has a character that none has.")
        day, region, service, terminator = scope
        headers = tuple(parts["SignedHeaders"].split(";"))
        signed = cls(access_key_id, (day, region, service), headers, parts["Signature"], at, lasts)
        signed._require_scope(terminator)
        return signed

    def _require_scope(self, terminator: str) -> None:
        """Raises InvalidSignatureException."""
        day, region, service = self.scope
        if not _REGION.fullmatch(region):
            raise _invalid(f"Credential should be scoped to a valid region, not '{region[:64]}'.")
        if service != SERVICE:
            raise _invalid(f"Credential should be scoped to correct service: '{SERVICE}'.")
        if terminator != _TERMINATOR:
            raise _invalid(
                f"Credential should be scoped with a valid terminator: '{_TERMINATOR}', not "
                f"'{terminator[:64]}'."
            )
        if day != self.at[:8]:
            raise _invalid(
                f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date "
                f"from HTTP: '{day[:64]}' != '{self.at[:8]}', from '{self.at[:64]}'."
            )


def require(signed: Signed, secret: str, request: HttpRequest, body: str, now: datetime) -> None:
    """Whether the request was signed with the secret, not long ago. `body` is its SHA-256.

    Raises InvalidSignatureException.
    """
    _require_time(signed, now)
    _require_headers(signed, request)
    expected = _signature(signed, secret, canonical(signed, request, body))
    if not hmac.compare_digest(expected.encode(), signed.signature.encode()):
        raise _invalid(
            "The request signature we calculated does not match the signature you provided. Check "
            "your AWS Secret Access Key and signing method. Consult the service documentation for "
            "details."
        )


def _require_time(signed: Signed, now: datetime) -> None:
    at = _parsed(signed.at)
    lasts = _SKEW if signed.lasts is None else signed.lasts
    if now - at > lasts:
        oldest = f"{now - lasts:{_TIME}}"
        raise _invalid(f"Signature expired: {signed.at} is now earlier than {oldest}")
    if at - now > _SKEW:
        newest = f"{now + _SKEW:{_TIME}}"
        raise _invalid(f"Signature not yet current: {signed.at} is still later than {newest}")


def _require_headers(signed: Signed, request: HttpRequest) -> None:
    """What decides about the meaning of a request has to be signed."""
    named = [name.lower() for name in request.headers]
    needed = {"host", *(name for name in named if name.startswith("x-amz-"))}
    for name in sorted(needed - {*signed.headers}):
        raise _invalid(f"'{name}' must be a 'SignedHeader' in the AWS Authorization.")


def canonical(signed: Signed, request: HttpRequest, body: str) -> str:
    """The canonical request, as AWS documents it."""
    headers = [f"{name}:{_value_of(request, name)}\n" for name in signed.headers]
    lines = [
        request.method or "",
        # The path is encoded twice, but for the slashes between its parts.
        quote(quote(request.path, safe="/" + _UNRESERVED), safe="/" + _UNRESERVED),
        _query_of(request, is_signed=signed.lasts is not None),
        "".join(headers),
        ";".join(signed.headers),
        body,
    ]
    return "\n".join(lines)


def _query_of(request: HttpRequest, *, is_signed: bool) -> str:
    """The query in the order of its encoded names and values, without the signature itself."""
    given = parse_qsl(request.META.get("QUERY_STRING", "").replace("+", "%2B"), True)
    pairs = [
        (quote(name, safe=_UNRESERVED), quote(value, safe=_UNRESERVED))
        for name, value in given
        if not (is_signed and name == "X-Amz-Signature")
    ]
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _value_of(request: HttpRequest, name: str) -> str:
    """Several headers of one name come as one, with commas between."""
    return _SPACES.sub(" ", request.headers.get(name, "").strip())


def _signature(signed: Signed, secret: str, request: str) -> str:
    scope = "/".join([*signed.scope, _TERMINATOR])
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = "\n".join([ALGORITHM, signed.at, scope, digest])
    key = f"AWS4{secret}".encode()
    for part in (*signed.scope, _TERMINATOR):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


# --- reading --------------------------------------------------------------------------------------


def _parts(header: str) -> dict[str, str]:
    """The parts of the header Authorization. Raises IncompleteSignatureException."""
    algorithm, _, rest = header.strip().partition(" ")
    if algorithm != ALGORITHM:
        raise _incomplete(f"Unsupported AWS 'algorithm': '{algorithm[:64]}'.")
    found = {}
    for part in rest.split(","):
        name, equals, value = part.strip().partition("=")
        if not equals:
            raise _incomplete(
                f"'{part.strip()[:64]}' not a valid key=value pair (missing equal-sign) in "
                "Authorization header."
            )
        found[name] = value.strip()
    missing = [name for name in ("Credential", "Signature", "SignedHeaders") if not found.get(name)]
    if missing:
        raise _incomplete(
            " ".join(f"Authorization header requires '{name}' parameter." for name in missing)
        )
    return found


def _parts_of(query: Mapping[str, str]) -> dict[str, str]:
    """The same of a signature in the query. Raises IncompleteSignatureException."""
    names = ("Credential", "Signature", "SignedHeaders")
    needed = [f"X-Amz-{name}" for name in (*names, "Date", "Expires")]
    if missing := [name for name in needed if not query.get(name)]:
        raise _incomplete(
            " ".join(f"AWS query-string parameters must include '{name}'." for name in missing)
        )
    if query["X-Amz-Algorithm"] != ALGORITHM:
        raise _incomplete(f"Unsupported AWS 'algorithm': '{query['X-Amz-Algorithm'][:64]}'.")
    return {name: query[f"X-Amz-{name}"] for name in names}


def _seconds(text: str) -> timedelta:
    """Raises IncompleteSignatureException."""
    is_whole = text.isascii() and text.isdigit() and len(text) < 10
    lasts = timedelta(seconds=int(text)) if is_whole else timedelta(0)
    if not timedelta(0) < lasts <= _LONGEST:
        most = int(_LONGEST.total_seconds())
        raise _incomplete(f"X-Amz-Expires must be from 1 to {most} seconds.")
    return lasts


def _date_of(request: HttpRequest) -> str:
    """The time of the request, as _TIME. Raises IncompleteSignatureException."""
    if text := request.headers.get("X-Amz-Date"):
        return text
    try:
        return f"{parsedate_to_datetime(request.headers['Date']).astimezone(UTC):{_TIME}}"
    except (KeyError, ValueError, OverflowError):
        message = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' "
        raise _incomplete(message + "header.") from None


def _parsed(at: str) -> datetime:
    """Raises IncompleteSignatureException."""
    try:
        if len(at) != 16 or not at.isascii():  # strptime takes shorter numbers, too
            raise ValueError
        return datetime.strptime(at, _TIME).replace(tzinfo=UTC)
    except ValueError:
        message = "Date must be in ISO-8601 'basic format', as 20261231T235959Z."
        raise _incomplete(message) from None


def _incomplete(message: str) -> AwsError:
    return AwsError("IncompleteSignatureException", message)


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidSignatureException", message)
