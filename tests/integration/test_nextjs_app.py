"""Log in by face in a Next.js app: docs/integration/nextjs.md.

Node calls the route handlers as Next.js does, since they are functions of a Request; Next.js itself
is too large to be fetched by each run.
"""

import base64
import hmac
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from pytest_django import Settings

from facesvc.client import ApiError
from facesvc.client import Client as Faces
from facesvc.home import BASE_DIR
from recognition.models import Attempt, Face
from tests.facesvc.page.test_javascript import node_is_there
from tests.integration.conftest import App, photo
from tests.support.builders import FakePipeline, face_of, vector

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not node_is_there(), reason="Node 20 or newer is not installed"),
]
PAGE = BASE_DIR / "facesvc" / "page" / "static" / "page"
HARNESS = Path(__file__).parent / "route_handlers.mjs"
TOOLS = ("typescript@5.9.3", "@types/node@20.19.25")
ANN = "usr_7f3a"


def prepared(app: App) -> App:
    """With the client in it, as the page says."""
    for name in ("api.js", "api.d.ts"):
        shutil.copy(PAGE / name, app.folder / "lib")
    return app


@pytest.fixture
def app(start: Callable[[str], App], fake: FakePipeline) -> App:
    example = prepared(start("nextjs"))
    example.serve("node", str(HARNESS), "{port}")
    fake.varies = True  # or a login would be a replay of the enrolled picture
    fake.show(vector(1))
    return example


def posted(
    visitor: httpx.Client, route: str, image: bytes | None = None, **fields: str
) -> httpx.Response:
    files = {"photo": ("photo.jpg", image, "image/png")} if image else {"none": b""}
    return visitor.post(f"/api/faces/{route}", data=fields, files=files)


def by_password(app: App) -> httpx.Client:
    """Ann, who logged in as ever: the session is one of the app."""
    script = (
        f'import {{sessionCookie}} from "./lib/session.js"; console.log(sessionCookie("{ANN}"))'
    )
    said = app.run("node", "--input-type=module", "--eval", script)
    visitor = app.visit()
    visitor.cookies.set("session", said.partition("=")[2].partition(";")[0])
    return visitor


def enrolled(app: App) -> httpx.Client:
    ann = by_password(app)
    assert posted(ann, "enrol", photo(1), consent="on").status_code == 201
    return ann


def test_it_works(app: App) -> None:
    enrolled(app)
    face = Face.objects.get()
    assert face.user.given_id == ANN and "consent" in face.metadata
    visitor = app.visit()
    answer = posted(visitor, "login", photo(2), name="ann")
    assert answer.json() == {"name": "ann"}
    assert set(visitor.cookies) == {"device", "session"}
    assert posted(visitor, "token").json()["user_id"] == ANN
    assert Attempt.objects.get().device  # its hash


def test_what_the_browser_gets_is_for_its_user_alone(app: App) -> None:
    token = posted(enrolled(app), "token").json()["token"]
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert set(claims) == {"sub", "scope", "exp"}
    browser = Faces(app.environment["FACES_URL"], token)
    assert browser.open_session(ANN, purpose="video_call")["user_id"] == ANN
    for call in (lambda: browser.open_session("usr_91bc"), lambda: browser.list_users()):
        with pytest.raises(ApiError) as refused:
            call()
        assert refused.value.status == 403


def test_no_answer_of_the_app_has_a_secret(app: App, settings: Settings) -> None:
    visitor = enrolled(app)
    answers = [posted(visitor, "login", photo(3), name="ann"), posted(visitor, "token")]
    for answer in answers:
        assert settings.JWT_SECRET not in answer.text + str(answer.headers)


def test_a_mistake_of_the_app_is_logged_and_shown_to_nobody(app: App) -> None:
    app.environment["FACES_JWT_SECRET"] = "the-secret-of-another-service-and-long"
    app.serve("node", str(HARNESS), "{port}")
    answer = posted(by_password(app), "enrol", photo(1), consent="on")
    assert (answer.status_code, answer.json()) == (503, {"problem": "Try again later."})
    assert "the service did not do it: invalid_token" in app.log


def test_another_face_and_another_name_get_the_same_answer(app: App, fake: FakePipeline) -> None:
    enrolled(app)
    fake.show(vector(2))
    answers = [
        posted(app.visit(), "login", photo(20 + at), name=name)
        for at, name in enumerate(("ann", "ben", "nobody"))
    ]
    assert {(each.status_code, each.text) for each in answers} == {(401, answers[0].text)}
    assert "That did not work." in answers[0].text


def test_a_stranger_and_a_forged_session_can_do_nothing(app: App) -> None:
    stranger = app.visit()
    # The last one has as many characters as a signature, and more bytes.
    for session in (None, "eyJ9.AAAA", "eyJ9", "." + 43 * "A", "." + 21 * "\u00e9" + "A"):
        if session:
            stranger.headers["Cookie"] = f"session={session}"
        assert posted(stranger, "enrol", photo(1), consent="on").status_code == 401
        assert posted(stranger, "token").status_code == 401
    assert not Face.objects.exists()


def test_without_a_key_no_session_is_valid(app: App) -> None:
    """An empty key would be one that everybody has."""
    del app.environment["APP_SECRET_KEY"]
    app.serve("node", str(HARNESS), "{port}")
    session = {"userId": ANN, "until": 9e15}
    text = base64.urlsafe_b64encode(json.dumps(session).encode()).decode().rstrip("=")
    made = hmac.digest(b"", text.encode(), "sha256")
    signature = base64.urlsafe_b64encode(made).decode().rstrip("=")
    stranger = app.visit()
    stranger.cookies.set("session", f"{text}.{signature}")
    assert posted(stranger, "token").status_code == 500
    assert posted(stranger, "enrol", photo(1), consent="on").status_code == 500
    assert not Face.objects.exists()


def test_another_site_logs_nobody_in(app: App) -> None:
    """A visitor would be in the account of an attacker, and might enrol their face there."""
    enrolled(app)
    visitor = app.visit()
    for site in ("cross-site", "same-site"):
        visitor.headers["Sec-Fetch-Site"] = site
        answer = posted(visitor, "login", photo(2), name="ann")
        assert answer.status_code == 400 and "session" not in visitor.cookies
    visitor.headers["Sec-Fetch-Site"] = "same-origin"
    assert posted(visitor, "login", photo(2), name="ann").json() == {"name": "ann"}


def test_a_body_that_is_too_long_is_not_read(app: App) -> None:
    stranger, ann = app.visit(), enrolled(app)
    for visitor, route, status in ((stranger, "login", 400), (ann, "enrol", 413)):
        answer = posted(visitor, route, bytes(11_000_000), name="ann", consent="on")
        assert answer.status_code == status and answer.json()["problem"]


def test_a_refusal_is_explained(app: App, fake: FakePipeline) -> None:
    fake.show([])
    ann = by_password(app)
    assert posted(ann, "enrol", photo(1)).json()["problem"] == "Please agree first."
    answer = posted(ann, "enrol", photo(1), consent="on")
    assert answer.status_code == 422 and "face" in answer.json()["problem"]
    fake.show(face_of(vector(1), quality=0.2))
    said = posted(ann, "enrol", photo(1), consent="on").json()["problem"]
    assert isinstance(said, str) and "Come closer." in said
    app.environment["FACES_URL"] = "http://127.0.0.1:9"
    app.serve("node", str(HARNESS), "{port}")
    answer = posted(app.visit(), "login", photo(1), name="ann")
    assert answer.status_code == 401 and "a login by face failed" in app.log


def test_the_types_fit(start: Callable[[str], App], tmp_path: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    folder = prepared(start("nextjs")).folder
    (folder / "package.json").unlink()  # or npm would fetch Next.js
    quiet = ["--no-save", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run([npm, "install", *quiet, *TOOLS], cwd=folder, capture_output=True)
    if done.returncode:
        pytest.skip(f"{TOOLS} cannot be had")
    (folder / "package.json").write_text('{"type": "module"}')
    strict = ["--noEmit", "--strict", "--allowJs", "--checkJs", "--target", "es2022"]
    places = ["--module", "nodenext", "--lib", "es2022,dom,dom.iterable", "--types", "node"]
    sources = [str(path) for path in folder.rglob("*.js") if "node_modules" not in path.parts]
    sources = [path for path in sources if not path.endswith("/api.js")]
    tsc = folder / "node_modules" / "typescript" / "bin" / "tsc"
    checked = subprocess.run(
        ["node", tsc, *strict, *places, *sources], cwd=folder, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout
