"""Names every file that is made of the API description."""

from pathlib import Path

from facesvc.home import BASE_DIR
from facesvc.openapi.clients import python

PYTHON = BASE_DIR / "facesvc" / "client"


def files() -> dict[Path, str]:
    """What each file must hold."""
    return {PYTHON / name: text for name, text in python.files().items()}
