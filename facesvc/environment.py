"""The environment and the file .env; for every name NAME_FILE may name a file with the value."""

from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from environs import FileAwareEnv

BASE_DIR = Path(__file__).resolve().parent.parent

# A file made by an editor or by `echo` ends with a new line, which is no part of a secret.
env = FileAwareEnv(strip_whitespace=True)
env.read_env(BASE_DIR / ".env", recurse=False)

_LEAST, _LEAST_DIFFERENT = 32, 8


def secret(name: str, default: str = "") -> str:
    """The secret of that name, empty where there is none. Raises ImproperlyConfigured if weak."""
    return _strong(name, env.str(name, "")) or default


def secrets(name: str) -> list[str]:
    """Several, separated by commas. Raises ImproperlyConfigured if one is weak."""
    found: list[str] = env.list(name, [])
    return [_strong(name, value) for value in found]


def required_secret(name: str) -> str:
    """Raises ImproperlyConfigured if it is missing or weak."""
    if value := secret(name):
        return value
    raise ImproperlyConfigured(f"{name} is not set. {_advice(name)}")


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
        start = "`make run` writes one into .env; or make one"
    else:
        made = "import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())"
        start = "Make one"
    return f"{start} with: python -c '{made}'"
