"""Makes the keys that the service cannot do without: `python facesvc/keys.py .env`.

It needs the standard library alone, and never changes a file that exists. Without a file it prints
the keys: `docker run --rm facesvc:0.2.0 python facesvc/keys.py > facesvc.env`.
"""

import base64
import os
import secrets
import sys
from pathlib import Path


def new() -> dict[str, str]:
    """The secret of the service, the key of kept pictures, and that of the templates."""
    return {
        "SECRET_KEY": secrets.token_urlsafe(64),
        "FACESVC_CROP_KEYS": _key(),
        "FACESVC_TEMPLATE_KEYS": _key(),
    }


def text() -> str:
    """New keys, a line each, as in a file of settings."""
    return "".join(f"{name}={value}\n" for name, value in new().items())


def write(file: Path) -> None:
    """Write new keys into a file that only its owner may read. Raises FileExistsError."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as output:
        output.write(text())


def _key() -> str:
    """32 random bytes in base64, as Fernet takes them."""
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


if __name__ == "__main__":
    if sys.argv[1:]:
        write(Path(sys.argv[1]))
    else:
        print(text(), end="")
