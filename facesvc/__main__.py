"""The command `facesvc`, and `python -m facesvc`: start the service, and look after it.

All commands but `run` are those of manage.py, most of them under a shorter name.
"""

import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec

import django
from django.core.exceptions import ImproperlyConfigured
from django.core.management import (
    execute_from_command_line,
    get_commands,
    load_command_class,
)
from django.core.management.base import BaseCommand
from environs import EnvError

from facesvc import __version__, home, keys
from facesvc.postgres.cluster import DatabaseError
from facesvc.running import run
from recognition.collections import current


@dataclass(frozen=True)
class Word:
    """A command of manage.py under a short name, and its arguments where none are given."""

    command: str
    about: str
    default: tuple[str, ...] = ()


COMMANDS = {
    "Begin": {
        "run": Word("", "Start everything here: database, web server, workers"),
        "token": Word("issue_token", "Print a token with all rights, or another", run.TOKEN[1:]),
        "doctor": Word("doctor", "Check what the service has and needs, and say what to do"),
    },
    "People": {
        "enrol": Word("enrol_folder", "Enrol a folder of photos, one subfolder a person"),
        "move": Word("", "Enrol people from CompreFace or Amazon Rekognition"),
        "identify": Word("identify_photo", "Print who is in a photo"),
        "export": Word("export_user", "Write all that is held about a user into an archive"),
        "erase": Word("erase_user", "Erase all that is held about users"),
    },
    "The service": {
        "collections": Word("collections", "List, make, suspend and erase collections", ("list",)),
        "api_keys": Word("api_keys", "Make, list, replace and revoke keys of services", ("list",)),
        "models": Word("models", "List, fetch, check and change the model packs"),
        "backup": Word("backup", "Save the database into a file"),
        "restore": Word("restore", "Bring a saved database back"),
        "web": Word("", "Run the web server alone: gunicorn, and its options such as --bind"),
        "worker": Word("qcluster", "Run the workers alone"),
        "manage": Word("", "Run any command of Django and facesvc; `facesvc manage help`"),
    },
}
WORDS = {name: word for group in COMMANDS.values() for name, word in group.items()}
_TITLE = f"""\
facesvc {__version__}: self-hosted face recognition

usage: facesvc COMMAND [options]"""
_END = """\
`facesvc COMMAND --help` describes a command. Every other command of manage.py, such as
`facesvc createsuperuser`, works as well. The data is in the folder `data` of the current folder, or
in FACESVC_DATA; settings are in the environment, or in the file `.env` of the current folder."""
_DOCS = "share/doc/facesvc"


def main() -> int:
    # A developer's shell may name the settings of another project.
    os.environ["DJANGO_SETTINGS_MODULE"] = "facesvc.settings"
    current.enter(current.DEFAULT)
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in {"--help", "-h", "help"}:
        print(described())
        return 0
    if name in {"--version", "version"}:
        print(f"facesvc {__version__}")
        return 0
    try:
        if name == "run":
            return _run(arguments)
        if name == "web":
            web = [*run.PYTHON, "-m", "facesvc.running.web", *arguments]
            os.execv(sys.executable, web)
        if name == "move":
            return _move(arguments)
        if name == "manage":
            execute_from_command_line(["facesvc manage", *arguments])
            return 0
        return _call(name, arguments)
    except (ImproperlyConfigured, EnvError, DatabaseError) as error:  # such as a weak SECRET_KEY
        print(error, file=sys.stderr)
        return 1


def described() -> str:
    """The text of `facesvc --help`."""
    lines = [_TITLE]
    for title, words in COMMANDS.items():
        lines += ["", f"{title}:", *(f"  {name:<11} {word.about}" for name, word in words.items())]
    manual = f"The manual is in {sys.prefix}/{_DOCS}."
    return "\n".join([*lines, "", _END, *([] if home.IS_CHECKOUT else [manual])])


def _run(arguments: Sequence[str]) -> int:
    """`facesvc run`; the first one in a folder makes the keys."""
    file = home.HOME_DIR / ".env"
    is_help = not {"-h", "--help"}.isdisjoint(arguments)
    if not (is_help or file.exists() or {"SECRET_KEY", "SECRET_KEY_FILE"} & os.environ.keys()):
        print(f"Writing {file} with new keys", file=sys.stderr)
        with suppress(FileExistsError):  # of another one that starts now
            keys.write(file)
    return run.main(arguments)


def _move(arguments: Sequence[str]) -> int:
    """`facesvc move`, which is a client: the service itself does without what clients need."""
    if find_spec("httpx") is None:
        install = f"{shlex.quote(sys.executable)} -m pip install httpx"
        print(f"`facesvc move` needs httpx: {install}", file=sys.stderr)
        return 1
    os.execv(sys.executable, [*run.PYTHON, "-m", "facesvc.moving", *arguments])


def _call(name: str, arguments: Sequence[str]) -> int:
    django.setup()
    word = WORDS.get(name, Word(name, ""))
    found = get_commands().get(word.command)
    if found is None:
        near = get_close_matches(name, {*WORDS, *get_commands()}, 1)
        meant = f" Did you mean `facesvc {near[0]}`?" if near else ""
        print(f"There is no command {name!r}.{meant} `facesvc --help` lists them.", file=sys.stderr)
        return 2
    command = found if isinstance(found, BaseCommand) else load_command_class(found, word.command)
    command.run_from_argv(["facesvc", name, *(arguments or word.default)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
