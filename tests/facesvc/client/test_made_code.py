"""The clients and the API description are held together: by what is made, and by the names."""

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from facesvc.client import AsyncClient, Client
from facesvc.client.binding import Method
from facesvc.home import BASE_DIR
from facesvc.openapi.clients import reading, written

DESCRIBED = {
    operation["operationId"]: operation
    for methods in reading.description()["paths"].values()
    for operation in methods.values()
}


@pytest.mark.parametrize("path", written.files(), ids=lambda path: path.name)
def test_it_works(path: Path) -> None:
    place = path.relative_to(BASE_DIR)
    assert path.read_text() == written.files()[path], (
        f"{place} is not what the API description says: run `make docs`"
    )


def arguments_of(operation: dict[str, Any]) -> set[str]:
    """All that an operation takes, read from the description once more, in another way."""
    names = {each["name"] for each in operation.get("parameters", ())}
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        shape = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
        names |= set(reading.description()["components"]["schemas"][shape]["properties"])
    if "application/x-ndjson" in content:
        names.add("lines")
    return {re.sub("^X-", "", name).replace("-", "_").lower() for name in names}


@pytest.mark.parametrize("name", DESCRIBED)
def test_each_operation_is_a_method_of_both(name: str) -> None:
    method = vars(Client.__mro__[2])[name]
    assert isinstance(method, Method) and hasattr(AsyncClient, name)
    assert set(inspect.signature(method.describe).parameters) == arguments_of(DESCRIBED[name])


def test_each_method_is_an_operation() -> None:
    methods = {name for name, each in vars(Client.__mro__[2]).items() if isinstance(each, Method)}
    assert methods == set(DESCRIBED)


USER = """\
from pathlib import Path
from typing import assert_type
from uuid import UUID

from facesvc.client import AsyncClient, Client, answers

faces = Client("http://localhost", lambda: "token")
face = faces.register("user-17", Path("a.jpg"), metadata={"source": "x"})
assert_type(face["face_id"], str)
found = faces.identify(b"", search_scope={"user_groups": ["friends"]})
assert_type(found["faces"], list[answers.IdentifiedFace])
for user in faces.iter_users(page_size=3):
    assert_type(user["privacy_level"], answers.PrivacyLevelEnum)


async def main(other: AsyncClient) -> None:
    assert_type((await other.verify(UUID(int=1), b""))["is_match"], bool)
    async for each in other.iter_faces("user-17"):
        assert_type(each, answers.Face)
    async with other.live_call("user-17") as call:
        assert_type(await call.frame(b""), answers.FrameTaken)


faces.verify("user-17")
faces.identify(b"", scope={})
"""


@pytest.mark.slow
def test_a_program_that_uses_it_is_checked(tmp_path: Path) -> None:
    """mypy knows every type, and finds the two mistakes of the last lines."""
    program = tmp_path / "program.py"
    program.write_text(USER)
    mypy = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--config-file", ""]
    done = subprocess.run(
        [*mypy, str(program)],
        cwd=tmp_path,
        env={"MYPYPATH": str(BASE_DIR), "PATH": os.defpath},
        capture_output=True,
        text=True,
    )
    errors = re.findall(r"(\w+\.py):(\d+): error.*\[(.*)\]", done.stdout)
    last = len(USER.splitlines())
    assert errors == [
        ("program.py", str(last - 1), "call-arg"),
        ("program.py", str(last), "call-arg"),
    ], done.stdout + done.stderr
