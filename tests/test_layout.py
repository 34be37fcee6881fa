"""What the layout promises and no other tool checks."""

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from facesvc.http.error_codes import STATUS
from tests import test_docs

PROJECT = Path(__file__).parents[1]
PACKAGES = ("facesvc", "recognition", "management", "batch")
MODULES = [
    path
    for package in PACKAGES
    for path in sorted((PROJECT / package).rglob("*.py"))
    if "migrations" not in path.parts
]

Find = Callable[[ast.AST], list[int]]


def named(path: Path) -> str:
    return str(path.relative_to(PROJECT))


def test_it_works() -> None:
    assert "recognition/verification/matching.py" in map(named, MODULES)


def test_all_commands_are_in_one_folder() -> None:
    """The app called management holds none: Django would look for commands there as well."""
    folders = {named(path.parent) for path in MODULES if path.parent.name == "commands"}
    assert folders == {"facesvc/management/commands"}


def test_no_folder_has_more_than_14_modules(tests: dict[str, ast.Module]) -> None:
    """The folder of the commands may: each is named as one types it."""
    names = [*map(named, MODULES), *tests]
    sizes = Counter(str(Path(name).parent) for name in names if not name.endswith("__init__.py"))
    del sizes["facesvc/management/commands"]
    assert not {folder: size for folder, size in sizes.items() if size > 14}


def codes_raised(path: Path) -> set[str]:
    """First arguments of ServiceError, ImageError, TokenError, and `code=` wherever it is given."""
    codes = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        values = [each.value for each in node.keywords if each.arg == "code"]
        if name in {"ServiceError", "ImageError", "TokenError", "_body", "failure", "_failure"}:
            values += node.args[:2]
        codes |= {
            value.value
            for value in values
            if isinstance(value, ast.Constant)
            and isinstance(value.value, str)
            and value.value.isidentifier()
        }
    return codes


@pytest.fixture(scope="module")
def codes() -> dict[str, set[str]]:
    """The codes that each module raises."""
    return {named(path): codes_raised(path) for path in MODULES}


def test_every_error_code_has_a_status(codes: dict[str, set[str]]) -> None:
    strange = {name: found - set(STATUS) for name, found in codes.items()}
    assert not {name: found for name, found in strange.items() if found}


def test_the_codes_are_found_at_all(codes: dict[str, set[str]]) -> None:
    everywhere = set().union(*codes.values())
    assert {"no_face", "truncated_image", "token_expired", "payload_too_large"} <= everywhere


def test_modules_are_short() -> None:
    lengths = {named(path): len(path.read_text().splitlines()) for path in MODULES}
    del lengths["facesvc/client/answers.py"]  # nobody reads it: it is made, a type after the other
    assert not {name: length for name, length in lengths.items() if length > 300}


def test_codes_are_in_use(codes: dict[str, set[str]]) -> None:
    """Each is raised by us, or is one of the framework's own."""
    framework = {
        *("method_not_allowed", "not_acceptable", "unsupported_media_type", "rate_limited"),
        *("not_authenticated", "malformed_json"),
    }
    assert set(STATUS) <= set().union(*codes.values()) | framework


# --- names, imports, English ----------------------------------------------------------------------

# Django looks for two of them; `Attempt` is a row, and in risk.py what is known of it before.
_TWICE = {"Command", "Attempt", "DatabaseWrapper"}
# The answers of the API have the names of what they describe.
_ANSWERS = {"answers", "collection_answers", "face_answers", "session_answers"}
IMPORTED_IN_FUNCTIONS = {
    "facesvc/running/gunicorn_conf.py": "only its processes that answer need Django",
    "recognition/inference/pack/weights.py": "only a conversion needs onnx",
}
# How no sentence begins, and words that have to be read twice.
BEGINNINGS = re.compile(r"(?:^|[.!?] )(Of|And|Or|Also|Not)\b")
AVOIDED = re.compile(test_docs.AVOIDED, re.IGNORECASE)
# Rooms whose sentences are not yet plain.
UNPLAIN = ("batch/webhooks/",)


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    return {named(path): ast.parse(path.read_text()) for path in MODULES}


def test_a_class_name_exists_once(trees: dict[str, ast.Module]) -> None:
    """A search for the name ends in one file."""
    places: dict[str, list[str]] = {}
    for name, tree in trees.items():
        for node in tree.body if Path(name).stem not in _ANSWERS else []:
            if isinstance(node, ast.ClassDef) and node.name[0] != "_":
                places.setdefault(node.name, []).append(name)
    twice = {name for name, files in places.items() if len(files) > 1}
    assert twice - _TWICE == set()


def own_imports(tree: ast.Module) -> list[int]:
    """Lines in functions that import from our packages."""
    return [
        node.lineno
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for module in [getattr(node, "module", None) or node.names[0].name]
        if module.split(".")[0] in PACKAGES
    ]


def test_imports_are_at_the_top(trees: dict[str, ast.Module]) -> None:
    """A knot of imports is not hidden in functions; apps.py has to wait for the apps."""
    found = {name for name, tree in trees.items() if own_imports(tree)}
    assert {name for name in found if Path(name).name != "apps.py"} == set(IMPORTED_IN_FUNCTIONS)


def test_an_import_in_a_function_is_found() -> None:
    code = "import batch\ndef f():\n    import os\n    from batch.models import Job"
    assert own_imports(ast.parse(code)) == [4]


def explanations(source: str) -> list[str]:
    """Docstrings and comments; the lines of one comment are put together."""
    texts = [
        ast.get_docstring(node) or ""
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    above = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            text = token.string.lstrip("#: ")
            if token.start[0] == above + 1 and token.line.lstrip().startswith("#"):
                texts[-1] += " " + text
            else:
                texts.append(text)
            above = token.start[0]
    return [" ".join(text.split()) for text in texts]


def hard_words(source: str) -> list[str]:
    return [
        word
        for text in explanations(source)
        for word in BEGINNINGS.findall(text) + AVOIDED.findall(text)
    ]


def test_the_english_is_plain() -> None:
    """Each sentence can be read once, and without the one before it."""
    plain = [path for path in MODULES if not named(path).startswith(UNPLAIN)]
    found = {named(path): hard_words(path.read_text()) for path in plain}
    assert {name: words for name, words in found.items() if words} == {}


def test_hard_words_are_found() -> None:
    code = (
        'def f():\n    """Done. Not all."""\n    # It is\n    # told anew.\n    return 1  # Of f.'
    )
    assert hard_words(code) == ["Not", "told", "anew", "Of"]


# --- tests ----------------------------------------------------------------------------------------

CLOCKS = {"time", "monotonic", "perf_counter", "process_time", "thread_time"}


def reads_a_clock(node: ast.AST) -> bool:
    """Whether a call such as `time.monotonic()` is in it."""
    return any(
        isinstance(each, ast.Call)
        and isinstance(each.func, ast.Attribute)
        and isinstance(each.func.value, ast.Name)
        and each.func.value.id == "time"
        and each.func.attr.removesuffix("_ns") in CLOCKS
        for each in ast.walk(node)
    )


def durations_compared(tree: ast.AST) -> list[int]:
    """Lines where it is compared how long something took: directly, or by a name given before."""
    took = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and is_duration(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare)
        and any(
            is_duration(each) or (isinstance(each, ast.Name) and each.id in took)
            for each in ast.walk(node)
        )
    ]


def is_duration(node: ast.AST) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub) and reads_a_clock(node.left)


def short_waits(tree: ast.AST) -> list[int]:
    """Lines that wait for others between 1 and 10 seconds: a pause is shorter, patience longer."""
    waits = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            waits += [each.value for each in node.keywords if each.arg == "timeout"]
            if node.func.attr in {"wait", "result"}:
                waits += node.args[:1]
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and reads_a_clock(node):
            waits.append(node.right)  # a deadline
    return [
        wait.lineno
        for wait in waits
        if isinstance(wait, ast.Constant)
        and isinstance(wait.value, int | float)
        and 1 <= wait.value < 10
    ]


@pytest.fixture(scope="module")
def tests() -> dict[str, ast.Module]:
    return {named(path): ast.parse(path.read_text()) for path in (PROJECT / "tests").rglob("*.py")}


def test_no_test_asserts_how_fast_something_is(tests: dict[str, ast.Module]) -> None:
    """It would fail by the machine that it runs on; benchmarks/ measures."""
    found = {name: durations_compared(tree) for name, tree in tests.items()}
    assert not {name: lines for name, lines in found.items() if lines}


def test_tests_are_patient(tests: dict[str, ast.Module]) -> None:
    """They wait for others as tests/support/patience.py says."""
    found = {name: short_waits(tree) for name, tree in tests.items()}
    assert not {name: lines for name, lines in found.items() if lines}


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (durations_compared, "assert time.monotonic() - began < 5"),
        (durations_compared, "took = time.perf_counter() - began\nassert took / 2 < 5"),
        (short_waits, "process.communicate(timeout=5)"),
        (short_waits, "event.wait(5.0)"),
        (short_waits, "deadline = time.monotonic() + 5"),
    ],
)
def test_what_depends_on_the_machine_is_found(found: Find, code: str) -> None:
    assert found(ast.parse(code))
