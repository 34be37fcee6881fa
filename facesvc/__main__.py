"""`python -m facesvc --version`: which version this is. It needs no settings and no database."""

import argparse

from facesvc import __version__


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m facesvc",
        description="Self-hosted face recognition. `make run` starts it.",
    )
    parser.add_argument("--version", action="version", version=f"facesvc {__version__}")
    parser.parse_args()
    parser.print_help()


if __name__ == "__main__":
    main()
