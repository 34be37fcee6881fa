"""What the layout promises and no other tool checks."""

import ast
from pathlib import Path

import pytest

from facesvc.error_codes import STATUS

PROJECT = Path(__file__).parents[1]
PACKAGES = ("facesvc", "recognition", "management", "batch")
MODULES = [
    path
    for package in PACKAGES
    for path in sorted((PROJECT / package).rglob("*.py"))
    if "migrations" not in path.parts
]


def named(path: Path) -> str:
    return str(path.relative_to(PROJECT))


def test_it_works() -> None:
    assert "recognition/matching.py" in map(named, MODULES)


def test_the_management_app_holds_no_commands() -> None:
    """Django would look for commands there; they live in the other apps."""
    folders = {path.name for path in (PROJECT / "management").rglob("*") if path.is_dir()}
    assert folders.isdisjoint({"management", "commands"})


def codes_raised(path: Path) -> set[str]:
    """First arguments of ServiceError, ImageError, TokenError, and `code=` wherever it is given."""
    codes = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        values = [each.value for each in node.keywords if each.arg == "code"]
        if name in {"ServiceError", "ImageError", "TokenError", "_body", "_failure"}:
            values += node.args[:2]
        codes |= {
            value.value
            for value in values
            if isinstance(value, ast.Constant)
            and isinstance(value.value, str)
            and value.value.isidentifier()
        }
    return codes


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_every_error_code_has_a_status(path: Path) -> None:
    assert codes_raised(path) <= set(STATUS)


def test_the_codes_are_found_at_all() -> None:
    everywhere = set().union(*map(codes_raised, MODULES))
    assert {"no_face", "truncated_image", "token_expired", "payload_too_large"} <= everywhere


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_modules_are_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300


@pytest.mark.parametrize("code", STATUS)
def test_codes_are_in_use(code: str) -> None:
    """Either raised by us, or one of the framework's own."""
    framework = {
        *("method_not_allowed", "not_acceptable", "unsupported_media_type", "rate_limited"),
        *("not_authenticated", "malformed_json"),
    }
    everywhere = set().union(*map(codes_raised, MODULES))
    assert code in everywhere | framework
