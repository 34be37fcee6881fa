"""Names every file that is made of the API description, or holds something that is."""

from pathlib import Path

from facesvc.home import BASE_DIR
from facesvc.openapi.clients import python, typescript

PYTHON = BASE_DIR / "facesvc" / "client"
PAGE = BASE_DIR / "facesvc" / "page" / "static" / "page"


def files() -> dict[Path, str]:
    """What each file must hold."""
    made = {PYTHON / name: text for name, text in python.files().items()}
    return made | {PAGE / "api.d.ts": typescript.types(), PAGE / "api.js": _with_operations()}


def _with_operations() -> str:
    """The module as it is, with its table of operations made again."""
    before, _, rest = (PAGE / "api.js").read_text().partition(typescript.START)
    after = rest.partition(typescript.END)[2]
    return before + typescript.operations() + after
