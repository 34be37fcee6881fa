"""docs/settings.md is what the code says, and nobody is told of a setting that does not exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from facesvc import settings_page
from facesvc.settings_page import PAGE, PROJECT, PageError, Setting, merged, settings_in

SPECIFIED = {
    "SECRET_KEY": "written into `.env` by `make`",
    "ACCESS_TOKEN_EXPIRE_MINUTES": "`30`",
    "DATABASE_URL": "the embedded PostgreSQL in `FACESVC_DATA`",
    "VERIFICATION_THRESHOLD": "`0.85`",
    "FACE_MATCH_THRESHOLD": "`0.8`",
    "MIN_FACE_QUALITY": "`0.6`",
    "RATE_LIMIT_PER_MINUTE": "`60`",
    "RATE_LIMIT_PER_HOUR": "`1000`",
    "MAX_IMAGE_SIZE_MB": "`10`",
    "MAX_BATCH_SIZE": "`100`",
    "ASYNC_PROCESSING_TIMEOUT": "`300`",
    "ANTISPOOFING_SERVICE_URL": "",
    "DEEPFAKE_DETECTION_SERVICE_URL": "",
}
# What is written like a setting: variables of other programs, of the tests and of the scripts.
OTHERS = {
    *("MALLOC_ARENA_MAX", "NO_COLOR", "POSTGRES_PASSWORD", "POSTGRES_USER"),
    *("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_SERVICE_NAME"),
    *("OTEL_TRACES_SAMPLER", "SSL_CERT_FILE", "FACESVC_FUZZ_SEED", "NAME_FILE"),
    *("MIGRATE_SECONDS", "ROLLOUT_SECONDS", "USER_ID", "IVF_PQ", "HNSW_SQ"),
}
NAME = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")
TEXTS = [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))] + [
    path
    for folder in ("docker", "deployment")
    for path in sorted((PROJECT / folder).rglob("*"))
    if path.is_file()
]
WELL = '# --- Topic ---\n#: Says what it is.\nA = env.int("A", 1)'


def read(source: str) -> list[Setting]:
    return merged(list(settings_in(source, "some.py")))


@pytest.fixture(scope="module")
def every_setting() -> list[Setting]:
    return settings_page.all_settings()


def test_it_works() -> None:
    assert PAGE.read_text() == settings_page.page(), (
        "docs/settings.md is not what the code says: run `make docs`"
    )


def test_what_is_specified_is_there(every_setting: list[Setting]) -> None:
    defaults = {setting.name: setting.default for setting in every_setting}
    assert SPECIFIED.items() <= defaults.items()


def test_everything_is_described(every_setting: list[Setting]) -> None:
    """By whole sentences."""
    for setting in every_setting:
        assert re.match(r"(`|[A-Z]).*\.$", setting.text), f"{setting.place}: {setting.name}"


def test_a_setting_is_read() -> None:
    assert read(WELL) == [
        Setting("A", "some.py:3", "Topic", "whole number", "`1`", "Says what it is.")
    ]


@pytest.mark.parametrize(
    ("call", "default"),
    [
        ('env.int("A", 200_000)', "`200000`"),
        ('env.bool("A", False)', "`false`"),
        ('env.str("A", "")', ""),
        ('env.str("A", default="b").lower()', "`b`"),
        ('env.list("A", ["b", "c"])', "`b,c`"),
        ('env.str("A")', "required"),
        ('required_secret("A")', "required"),
        ('tuple(secrets("A"))', ""),
    ],
)
def test_a_default_that_stands_there(call: str, default: str) -> None:
    assert [setting.default for setting in read(f"# --- Topic ---\n#: It.\nB = {call}")] == [
        default
    ]


def test_a_default_that_is_computed() -> None:
    (setting,) = read('# --- Topic ---\n#: It.\n#: Default: `B`\nA = secret("A", B)')
    assert (setting.text, setting.default) == ("It.", "`B`")


def test_read_twice_and_described_once() -> None:
    assert read(f'{WELL}\n\nB = env.int("A", 1)') == read(WELL)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ('# --- Topic ---\nA = env.int("A", 1)', "describes A"),
        ('# --- Topic ---\n# Says why.\nA = env.int("A", 1)', "describes A"),
        ('#: It.\nA = env.int("A", 1)', "Topic"),
        ('# --- Topic ---\n#: It.\nA = env.int("A", 2 * B)', "Default"),
        ('# --- Topic ---\n#: It.\n#: Default: 2\nA = env.int("A", 1)', "beside the one"),
        ("# --- Topic ---\n#: It.\nA = env.int(NAME, 1)", "literal name"),
        ('# --- Topic ---\n#: It.\nA = env.url("A", "")', "KINDS"),
        ('# --- Topic ---\n#: It.\nA = env("A", "")', "KINDS"),
        (f'{WELL}\n\nB = env.int("A", 2)', "another type or default"),
        (f'{WELL}\n\nB = env.float("A", 1)', "another type or default"),
        (f'{WELL}\n#: Something else.\nB = env.int("A", 1)', "too"),
    ],
)
def test_what_the_page_could_not_say(source: str, says: str) -> None:
    with pytest.raises(PageError, match=f"^some.py:\\d+: .*{says}"):
        read(source)


def mentioned(path: Path) -> Iterator[str]:
    for name in NAME.findall(path.read_text()):
        if name not in OTHERS:
            yield name.removesuffix("_FILE")


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_what_is_mentioned_exists(path: Path, every_setting: list[Setting]) -> None:
    assert set(mentioned(path)) - {setting.name for setting in every_setting} == set()


def test_nothing_is_read_past_the_page(every_setting: list[Setting]) -> None:
    """As by os.environ."""
    texts = [path.read_text() for path in settings_page.modules()]
    found = set(re.findall(r"\bFACESVC_[A-Z_]+\b", "".join(texts)))
    assert found - {setting.name for setting in every_setting} == set()
