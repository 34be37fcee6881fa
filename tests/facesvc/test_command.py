"""The command `facesvc`: its help, short names, refusals, and what messages say once installed."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import get_commands

from facesvc import __main__ as command
from facesvc import home, keys
from facesvc.management.service_command import ServiceCommand
from facesvc.postgres import cluster
from facesvc.running import run


def facesvc(*arguments: str, **changes: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "facesvc", *arguments],
        cwd=home.BASE_DIR,
        env={**os.environ, **changes},
        capture_output=True,
        text=True,
    )


def test_it_works() -> None:
    done = facesvc("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == command.described() + "\n"
    assert all(f"\n  {word} " in done.stdout for word in command.WORDS)
    assert all(len(line) <= 100 for line in done.stdout.splitlines())
    assert facesvc().stdout == done.stdout


def test_what_move_lacks_comes_into_the_environment_of_the_service(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "argv", ["facesvc", "move", "--help"])
    assert command.main() == 1
    assert f"{sys.executable} -m pip install httpx" in capsys.readouterr().err


def test_every_short_name_is_a_command() -> None:
    django = {word.command for word in command.WORDS.values()} - {""}
    assert django <= set(get_commands())


def test_a_short_name_passes_its_arguments_on() -> None:
    refused = facesvc("token", "--service", "my app")
    assert refused.returncode == 1
    assert refused.stderr.strip() == (
        "CommandError: A service's name has letters, digits and . @ : _ - and is no UUID."
    )
    assert facesvc("token", "--help").stdout.startswith("usage: facesvc token ")


def test_a_token_with_all_rights_needs_no_argument() -> None:
    done = facesvc("token")
    assert done.returncode == 0 and done.stdout.startswith("eyJ")
    assert run.TOKEN[1:] == command.WORDS["token"].default


@pytest.mark.parametrize("words", [("issue_token", "--help"), ("manage", "issue_token", "--help")])
def test_every_other_command_works_too(words: tuple[str, ...]) -> None:
    done = facesvc(*words)
    assert done.returncode == 0
    assert "signed with the service's own secret" in done.stdout


def test_an_unknown_command_is_refused_in_a_line() -> None:
    done = facesvc("tokn")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "There is no command 'tokn'. Did you mean `facesvc token`? `facesvc --help` lists them.\n"
    )


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SECRET_KEY", "weak", "SECRET_KEY must be at least 32 random characters."),
        ("WEB_WORKERS", "many", 'WEB_WORKERS" invalid'),
    ],
)
def test_a_setting_that_cannot_be_is_refused_in_a_line(name: str, value: str, said: str) -> None:
    done = facesvc("doctor", **{name: value})
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("program", [["manage.py"], ["-m", "facesvc"], ["-m", "facesvc", "manage"]])
def test_an_embedded_server_that_does_not_start_is_told_in_a_line(
    program: list[str], tmp_path: Path
) -> None:
    """By Django's own commands, too: this server was replaced by its standby."""
    cluster.folder(tmp_path).mkdir()
    cluster.replace(tmp_path, by=Path("/elsewhere"))
    done = subprocess.run(
        [sys.executable, *program, "showmigrations"],
        cwd=home.BASE_DIR,
        env={**os.environ, "DATABASE_URL": "", "FACESVC_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "is a former primary: the standby in /elsewhere was promoted" in done.stderr
    assert "Traceback" not in done.stderr


def test_settings_of_another_project_do_not_count() -> None:
    assert facesvc("token", DJANGO_SETTINGS_MODULE="shop.settings").returncode == 0


def test_keys_are_made_once(tmp_path: Path) -> None:
    keys.write(file := tmp_path / ".env")
    first = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [line.partition("=")[0] for line in first.splitlines()] == list(keys.new())
    with pytest.raises(FileExistsError):
        keys.write(file)
    assert file.read_text() == first


def test_keys_are_printed_without_a_file() -> None:
    command = [sys.executable, home.BASE_DIR / "facesvc" / "keys.py"]
    printed = [subprocess.run(command, capture_output=True, text=True).stdout for _ in range(2)]
    assert [line.partition("=")[0] for line in printed[0].splitlines()] == list(keys.new())
    assert printed[0] != printed[1]


def test_advice_is_spelled_as_one_types_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    advice = "Run `manage.py migrate`."
    assert home.spelled(advice) == advice
    assert home.typed("migrate") == ".venv/bin/python manage.py migrate"
    monkeypatch.setattr(home, "IS_CHECKOUT", False)
    assert home.typed("migrate") == "facesvc migrate"
    output = ServiceCommand()
    output.stdout.write(advice)
    output.stderr.write(advice)
    assert capsys.readouterr() == ("Run `facesvc migrate`.\n",) * 2
