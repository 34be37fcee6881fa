"""Secrets: from the environment or a file, and never a weak one."""

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from facesvc.settings.table import Topic, declared

NAME = "A_SECRET_OF_THIS_TEST"
GOOD = "kq3v-8Zr1xNw5Yt0bLm7Hs2Gd9Fc4Pa6"

topic = Topic("Some")


def test_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, GOOD)
    assert topic.required_secret(NAME).value == GOOD
    monkeypatch.setenv(NAME, f"{GOOD},{GOOD}x")
    assert topic.secrets(NAME).value == [GOOD, f"{GOOD}x"]


def test_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With the end of line that `echo` and editors write."""
    (tmp_path / "secret").write_text(f"{GOOD}\n")
    monkeypatch.setenv(f"{NAME}_FILE", str(tmp_path / "secret"))
    assert topic.secret(NAME).value == GOOD
    monkeypatch.setenv(f"{NAME}_FILE", str(tmp_path / "not there"))
    with pytest.raises(ValueError, match=f"{NAME}_FILE must be a readable file"):
        topic.secret(NAME)


def test_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert topic.secret(NAME).value == ""
    assert topic.secret(NAME, "another").value == "another"
    assert topic.secrets(NAME).value == []
    with pytest.raises(ImproperlyConfigured, match=f"{NAME} is not set"):
        topic.required_secret(NAME)
    monkeypatch.setenv(NAME, "")
    with pytest.raises(ImproperlyConfigured, match=f"{NAME} is not set"):
        topic.required_secret(NAME)


@pytest.mark.parametrize(
    "weak", ["short", "x" * 40, "changeme" * 8, "password" * 8, f"django-insecure-{GOOD}"]
)
def test_weak(monkeypatch: pytest.MonkeyPatch, weak: str) -> None:
    for value in (weak, f"{GOOD},{weak}"):
        monkeypatch.setenv(NAME, value)
        with pytest.raises(ImproperlyConfigured, match=NAME) as error:
            topic.secrets(NAME)
        assert weak not in str(error.value)
    monkeypatch.setenv(NAME, weak)
    with pytest.raises(ImproperlyConfigured):
        topic.secret(NAME, GOOD)


def test_it_is_in_no_table_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, GOOD)
    topic.secret(NAME, GOOD).says("Signs.")
    assert GOOD not in repr(declared) and declared[-1].default == ""
