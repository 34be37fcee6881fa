"""The JavaScript client: its own tests in Node, and its types by TypeScript's compiler."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from facesvc.home import BASE_DIR

HERE, PAGE = Path(__file__).parent, BASE_DIR / "facesvc" / "page" / "static" / "page"
TYPESCRIPT = "typescript@5.9.3"
EXAMPLES = (BASE_DIR / "docs" / "javascript.md").read_text()
NODE_VERSION = 20  # the first one with File


def node_is_there() -> bool:
    if not shutil.which("node"):
        return False
    said = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout
    return int(said.lstrip("v").partition(".")[0]) >= NODE_VERSION


pytestmark = pytest.mark.skipif(not node_is_there(), reason="Node 20 or newer is not installed")


def test_it_works(tmp_path: Path) -> None:
    shutil.copy(PAGE / "api.js", tmp_path / "api.mjs")
    shutil.copy(HERE / "api_test.mjs", tmp_path)
    done = subprocess.run(
        ["node", "--test", "api_test.mjs"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"pass 1[0-9]$", done.stdout, re.MULTILINE), done.stdout


@pytest.mark.parametrize("path", sorted(PAGE.rglob("*.js")), ids=lambda path: path.name)
def test_every_module_can_be_read(path: Path) -> None:
    check = ["node", "--input-type=module", "--check"]
    done = subprocess.run(check, input=path.read_text(), capture_output=True, text=True)
    assert done.stderr == ""


@pytest.fixture(scope="session")
def compiler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("typescript")
    quiet = ["--no-save", "--no-audit", "--no-fund", "--ignore-scripts"]
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    done = subprocess.run(
        [npm, "install", *quiet, "--prefix", folder, TYPESCRIPT], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"{TYPESCRIPT} cannot be had: {done.stderr.strip().splitlines()[-1:]}")
    return folder / "node_modules" / "typescript" / "bin" / "tsc"


def compiled(compiler: Path, folder: Path, program: str, *options: str) -> list[str]:
    """The errors that the compiler finds in a program that uses the client."""
    for name in ("api.js", "api.d.ts"):
        shutil.copy(PAGE / name, folder)
    (folder / "program.ts").write_text(program)
    strict = ["--noEmit", "--strict", "--target", "es2022", "--lib", "es2022,dom,dom.iterable"]
    done = subprocess.run(
        ["node", compiler, *strict, *options, "--module", "es2022", "program.ts"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    return re.findall(r"^\S+\(\d+,\d+\): error .*", done.stdout, re.MULTILINE)


GOOD = """
import {ApiError, FaceApi, type User} from "./api.js";
const api = new FaceApi({token: "eyJ"});
const photo = new Blob([]);
const face: string = (await api.register({user_id: "7", image: photo})).face_id;
const scope = {user_groups: ["friends"]};
for (const found of (await api.identify({image: photo, search_scope: scope})).faces) {
  const confidence: number | undefined = found.candidates[0]?.confidence_score;
}
for await (const user of api.each("listUsers", {page_size: 200})) {
  const one: User = user;
}
try {
  await api.listModels();
} catch (error) {
  if (error instanceof ApiError) console.log(error.code.length, face);
}
export {};
"""


@pytest.mark.slow
def test_the_types_fit_what_apps_write(compiler: Path, tmp_path: Path) -> None:
    assert compiled(compiler, tmp_path, GOOD) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "mistake",
    [
        "await api.register({image: photo});",
        "await api.identify({image: photo, scope: {}});",
        "const wrong: number = face;",
        'api.each("listModels");',
        'await api.putUser({user_id: "7", privacy_level: "secret"});',
    ],
)
def test_the_types_find_a_mistake(compiler: Path, tmp_path: Path, mistake: str) -> None:
    program = GOOD.replace("export {};", mistake + "\nexport {};")
    assert len(compiled(compiler, tmp_path, program)) == 1


@pytest.mark.slow
def test_the_examples_fit(compiler: Path, tmp_path: Path) -> None:
    blocks = re.findall(r"^```js\n(.*?)^```", EXAMPLES, re.DOTALL | re.MULTILINE)
    assert len(blocks) > 2
    given = "declare const token: string, photo: File, frame: Blob, user: string;\n"
    assert compiled(compiler, tmp_path, given + "\n".join(blocks), "--noImplicitAny", "false") == []
