"""What an operator can set: each setting is declared once, by a call in a module of this folder.

    FACESVC_TASK_NICE = jobs.whole("FACESVC_TASK_NICE", 10, (0, 19)).says(
    "How far the processes of a worker give way to others, such as the web server's: from 0 (not "
    "at all) to 19."
)

The call reads the environment, or else the file .env; for every name NAME_FILE may name a file with
the value. `says` describes the setting, puts it into the table and returns its value. The table
gives docs/settings.md (facesvc.generated_docs) and the check of ranges (recognition.checks).

A default that follows from other settings is computed, and `shown` is what the page says of it. A
range that follows from others is a function of all settings.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from django.core.exceptions import ImproperlyConfigured
from environs import FileAwareEnv, validate

from facesvc.home import HOME_DIR

# A file made by an editor or by `echo` ends with a new line, which is no part of a secret.
env = FileAwareEnv(strip_whitespace=True)
env.read_env(HOME_DIR / ".env", recurse=False)

_LEAST, _LEAST_DIFFERENT = 32, 8  # characters of a secret

T = TypeVar("T")
Range = tuple[float, float]  # the least and the greatest value
Allowed = Range | Callable[[Any], Range] | None

# The table, in the order of the page: that of the imports of facesvc.settings.
declared: "list[Setting[Any]]" = []


@dataclass(frozen=True)
class Setting(Generic[T]):
    topic: str
    name: str
    kind: str
    default: str  # as the page shows it
    value: T = field(repr=False)  # may be a secret
    allowed: Allowed = None
    text: str = ""
    # Whether a collection may have a value of its own: see recognition.collections.rules.
    is_rule: bool = False

    def says(self, text: str) -> T:
        """Put the setting into the table, described by whole sentences. Returns its value."""
        declared.append(replace(self, text=text))
        return self.value

    def rules(self, text: str) -> T:
        """As `says`, and each collection may have another value. Read it by `current.rule`."""
        return replace(self, is_rule=True).says(text)

    def out_of_range(self, settings: Any) -> str:
        """The sentence that refuses the value that `settings` have; empty if it is allowed."""
        if self.allowed is None:
            return ""
        low, high = self.allowed(settings) if callable(self.allowed) else self.allowed
        is_in = low <= getattr(settings, self.name) <= high
        return "" if is_in else f"{self.name} must be from {low} to {high}."


class Topic(str):
    """The heading of a part of the page. Its methods declare settings, each with its type.

    They raise EnvError if a value has another type or is none of the choices, and
    ImproperlyConfigured if a secret is weak or missing.
    """

    def whole(
        self, name: str, default: int, allowed: Allowed = None, shown: str = ""
    ) -> Setting[int]:
        value = env.int(name, default)
        return Setting(self, name, "whole number", shown or f"`{default}`", value, allowed)

    def number(self, name: str, default: float, allowed: Allowed = None) -> Setting[float]:
        return Setting(self, name, "number", f"`{default}`", env.float(name, default), allowed)

    def flag(self, name: str, default: bool, shown: str = "") -> Setting[bool]:
        shown = shown or f"`{str(default).lower()}`"
        return Setting(self, name, "`true` or `false`", shown, env.bool(name, default))

    def text(
        self, name: str, default: str = "", one_of: tuple[str, ...] = (), shown: str = ""
    ) -> Setting[str]:
        value = env.str(name, default, validate=validate.OneOf(one_of) if one_of else None)
        return Setting(self, name, "text", shown or _code(default), value)

    def texts(self, name: str, *default: str) -> Setting[list[str]]:
        value: list[str] = env.list(name, list(default))
        return Setting(self, name, "list", _code(",".join(default)), value)

    def wholes(self, name: str, default: list[int], shown: str) -> Setting[list[int]]:
        return Setting(self, name, "list", shown, env.list(name, default, subcast=int))

    def secret(self, name: str, default: str = "", shown: str = "") -> Setting[str]:
        return Setting(self, name, "secret", shown, _strong(name, env.str(name, "")) or default)

    def secrets(self, name: str, shown: str = "") -> Setting[list[str]]:
        """Several, separated by commas."""
        found: list[str] = env.list(name, [])
        return Setting(self, name, "secrets", shown, [_strong(name, value) for value in found])

    def required_secret(self, name: str, shown: str = "") -> Setting[str]:
        secret = self.secret(name, shown=shown)
        if not secret.value:
            raise ImproperlyConfigured(f"{name} is not set. {_advice(name)}")
        return secret


def _code(default: str) -> str:
    return default and f"`{default}`"


def _strong(name: str, value: str) -> str:
    is_known = value.startswith("django-insecure-")  # as `startproject` writes into its settings
    if value and (len(value) < _LEAST or len(set(value)) < _LEAST_DIFFERENT or is_known):
        raise ImproperlyConfigured(
            f"{name} must be at least {_LEAST} random characters. {_advice(name)}"
        )
    return value


def _advice(name: str) -> str:
    if name == "SECRET_KEY":
        made = "import secrets; print(secrets.token_urlsafe(64))"
        start = "`make run` and `facesvc run` write one into .env; or make one"
    else:
        made = "import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())"
        start = "Make one"
    return f"{start} with: python -c '{made}'"
