"""The pages that are made are what code and files say, and no page names another setting."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from facesvc import generated_docs
from facesvc.home import BASE_DIR
from facesvc.http import error_codes
from facesvc.http.error_codes import CODES, table, topics
from facesvc.settings import DECLARED
from recognition.inference.pack import weights
from recognition.inference.pack.declaration import load_pack, pack_file

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
# What is written like a setting: variables of Django, of other programs, of tests and of scripts.
OTHERS = {
    *("MALLOC_ARENA_MAX", "NO_COLOR", "POSTGRES_PASSWORD", "POSTGRES_USER", "WEBHOOK_SECRET"),
    *("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_SERVICE_NAME"),
    *("OTEL_TRACES_SAMPLER", "SSL_CERT_FILE", "FACESVC_FUZZ_SEED", "NAME_FILE"),
    *("AWS_ENDPOINT_URL_REKOGNITION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    *("FACESVC_BENCH_MODELS", "COMPOSE_PROFILES", "GRAFANA_PASSWORD", "GRAFANA_PORT"),
    *("GF_ANALYTICS_CHECK_FOR_UPDATES", "GF_ANALYTICS_REPORTING_ENABLED"),
    *("GF_SECURITY_ADMIN_PASSWORD", "CUDA_VISIBLE_DEVICES"),
    *("COMPREFACE_API_KEY", "SHOWN_AS_THEY_ARE"),
    *("MIGRATE_SECONDS", "ROLLOUT_SECONDS", "USER_ID", "IVF_PQ", "HNSW_SQ", "INSTALLED_APPS"),
}
NAME = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")
# The names of an app that the pages of docs/integration connect.
EXAMPLES = {
    name
    for path in (BASE_DIR / "docs" / "integration").rglob("*")
    if path.suffix in {".py", ".js", ".jsx"}
    for name in NAME.findall(path.read_text())
    if not name.startswith("FACESVC_")
}
# The values of Amazon Rekognition that its clients get.
EXAMPLES |= {
    name
    for path in (BASE_DIR / "facesvc" / "aws" / "operations").glob("*.py")
    for name in re.findall(r'"([A-Z]+(?:_[A-Z]+)+)"', path.read_text())
}
TEXTS = [BASE_DIR / "README.md", *sorted((BASE_DIR / "docs").rglob("*.md"))] + [
    path
    for folder in ("docker", "deployment")
    for path in sorted((BASE_DIR / folder).rglob("*"))
    if path.is_file() and path.suffix != ".pyc"
]


@pytest.mark.parametrize("name", ["settings", "errors", "accuracy"])
def test_it_works(name: str) -> None:
    made = getattr(generated_docs, f"{name}_page")()
    assert (generated_docs.DOCS / f"{name}.md").read_text() == made, (
        f"docs/{name}.md is not what the code says: run `make docs`"
    )


def test_the_picture_of_accuracy_is_that_of_the_files() -> None:
    picture = generated_docs.DOCS / "accuracy" / "det.svg"
    assert picture.read_text() == generated_docs.accuracy_chart(), "run `make docs`"


@pytest.mark.parametrize("name", generated_docs.PACKS)
def test_a_file_of_accuracy_is_about_its_pack(name: str) -> None:
    """What it says of licence and sizes is what pack.yaml says."""
    path = generated_docs.DOCS / "accuracy" / f"{name}.json"
    report = json.loads(path.read_text())
    pack = load_pack(pack_file(name, settings.PACK_FOLDERS).parent)
    assert (report["pack"], report["licence"]) == (name, pack.licence)
    assert report["download_bytes"] == weights.download_bytes(pack)
    if "published" not in report:
        assert report["model_version"] == pack.model_version


def test_all_packs_are_side_by_side() -> None:
    files = {path.stem for path in (generated_docs.DOCS / "accuracy").glob("*.json")}
    shipped = {path.parent.name for path in (BASE_DIR / "ml_models").glob("*/pack.yaml")}
    assert set(generated_docs.PACKS) == files and shipped <= files


def test_every_line_about_an_error_code_is_read() -> None:
    for text in error_codes._TEXTS.values():
        assert not error_codes._CODE.sub("", text).strip()


def test_what_is_specified_is_there() -> None:
    defaults = {setting.name: setting.default for setting in DECLARED}
    assert SPECIFIED.items() <= defaults.items()


def test_everything_is_described_once() -> None:
    """By whole sentences."""
    for setting in DECLARED:
        assert re.match(r"(`|[A-Z]).*\.$", setting.text), setting.name
    assert len({setting.name for setting in DECLARED}) == len(DECLARED)


def test_the_page_says_nothing_of_this_machine() -> None:
    """What is computed from other settings needs `shown`: any values make the same page."""
    others = {
        "whole number": "1",
        "number": "0.9",
        "list": "8,9",
        "secrets": "",
        "`true` or `false`": "true",
    }
    changed = {each.name: others[each.kind] for each in DECLARED if each.kind in others}
    changed |= {"FACESVC_DATA": "/elsewhere", "FACESVC_PACKS": "/here", "FACESVC_PACK": "another"}
    made = subprocess.run(
        [sys.executable, "-c", "from facesvc import generated_docs as d; print(d.settings_page())"],
        env={**os.environ, **changed, "SECRET_KEY": "kq3v-8Zr1xNw5Yt0bLm7Hs2Gd9Fc4Pa6"},
        cwd=BASE_DIR,
        capture_output=True,
        text=True,
        check=True,
    )
    assert made.stdout == f"{generated_docs.settings_page()}\n"


def mentioned(path: Path) -> Iterator[str]:
    for name in NAME.findall(path.read_text()):
        if name not in OTHERS | EXAMPLES:
            yield name.removesuffix("_FILE")


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(BASE_DIR)))
def test_what_is_mentioned_exists(path: Path) -> None:
    assert set(mentioned(path)) - {setting.name for setting in DECLARED} == set()


def test_nothing_is_read_past_the_page() -> None:
    """As by os.environ."""
    packages = ("facesvc", "recognition", "management", "batch")
    paths = [path for package in packages for path in (BASE_DIR / package).rglob("*.py")]
    found = set(re.findall(r"\bFACESVC_[A-Z_]+\b", "".join(map(Path.read_text, paths))))
    assert found - {setting.name for setting in DECLARED} == set()


# --- error codes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("code", CODES)
def test_a_code_is_explained_in_sentences(code: str) -> None:
    """A client's author reads them without the code at hand."""
    each = CODES[code]
    for text in (each.meaning, each.advice):
        assert re.fullmatch(r"[A-Z`][^|\n]{15,}\.", text), f"{code}: a sentence, please: {text!r}"
    assert 400 <= each.status < 600


def test_every_code_stands_in_one_table() -> None:
    tables = "".join(map(table, topics()))
    for code in CODES:
        assert tables.count(f"| `{code}` |") == 1
