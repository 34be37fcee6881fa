"""The passphrase of a file: what the commands read it from."""

import sys
from argparse import ArgumentParser
from pathlib import Path

from django.core.management import CommandError

from facesvc.collection_files.sealed import LEAST


def add_argument(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--passphrase",
        type=Path,
        metavar="FILE",
        required=True,
        help="the file that has the passphrase, or - for the standard input",
    )


def read(file: Path) -> str:
    """Raises CommandError."""
    try:
        text = sys.stdin.readline() if str(file) == "-" else file.read_text()
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{file} is no text, so it has no passphrase.") from error
    if len(text.strip()) < LEAST:
        raise CommandError(
            f"The passphrase needs at least {LEAST} characters: openssl rand -base64 32 makes one."
        )
    return text.strip()
