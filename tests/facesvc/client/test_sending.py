"""What the Python client sends, and when it sends it again: with answers that the test decides."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest

from facesvc.client import ApiError, AsyncClient, Client, UnreachableError
from facesvc.home import BASE_DIR
from tests.support.builders import OWNER, PICTURE

URL = "https://faces.example.com/"
GOOD = httpx.Response(200, json={"success": True, "data": {"done": True}, "metadata": {}})
Reply = httpx.Response | httpx.TransportError


def refusal(status: int, code: str, **headers: str) -> httpx.Response:
    error = {"code": code, "message": "No.", "details": {}}
    body = {"success": False, "error": error, "metadata": {"request_id": "r1"}}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, json=body, headers=named)


LIMITED = refusal(429, "rate_limited", retry_after="7")
BUSY = refusal(503, "unavailable", retry_after="2")
LOST = httpx.ReadTimeout("no answer")
DOWN = httpx.ConnectError("refused")
PROXY = httpx.Response(502, html="<h1>Bad gateway</h1>")


class Service:
    """Gives one reply after the other, and remembers what it was asked, and how long was waited."""

    def __init__(self, *replies: Reply) -> None:
        self.replies: Iterator[Reply] = iter(replies)
        self.asked: list[httpx.Request] = []
        self.waits: list[float] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        reply = next(self.replies)
        if isinstance(reply, httpx.TransportError):
            raise reply
        return httpx.Response(reply.status_code, headers=reply.headers, content=reply.content)

    def client(self, **options: Any) -> Client:
        http = httpx.Client(transport=httpx.MockTransport(self.answer))
        return Client(URL, options.pop("token", "eyJ"), http=http, **options)


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Service]:
    def made(*replies: Reply) -> Service:
        service = Service(*replies)
        monkeypatch.setattr("facesvc.client.binding.time.sleep", service.waits.append)
        return service

    return made


def test_it_works(serve: Callable[..., Service]) -> None:
    service = serve(GOOD)
    assert service.client().get_user(OWNER) == {"done": True}
    (request,) = service.asked
    assert str(request.url) == f"{URL}api/v1/face-recognition/users/{OWNER}"
    assert request.headers["Authorization"] == "Bearer eyJ"
    assert request.extensions["timeout"]["read"] > 0  # nobody waits for ever


def test_a_picture_is_answered_as_it_is(serve: Callable[..., Service]) -> None:
    service = serve(httpx.Response(200, content=PICTURE, headers={"Content-Type": "image/png"}))
    assert service.client().get_crop("face_1") == PICTURE


@pytest.mark.parametrize(
    ("user", "sent"),
    [
        ("auth0|64f1", b"auth0%7C64f1"),
        ("a/b?c#d%20", b"a%2Fb%3Fc%23d%2520"),
        ("Zoë Ångström", b"Zo%C3%AB%20%C3%85ngstr%C3%B6m"),
    ],
)
def test_any_id_is_one_segment_of_the_path(
    serve: Callable[..., Service], user: str, sent: bytes
) -> None:
    service = serve(GOOD)
    service.client().list_faces(user)
    assert service.asked[0].url.raw_path.split(b"users/")[1] == sent + b"/faces"


def test_an_empty_id_is_refused(serve: Callable[..., Service]) -> None:
    """Else it would name the list of all."""
    service = serve()
    with pytest.raises(ValueError, match="empty"):
        service.client().erase_user("")
    assert service.asked == []


@pytest.mark.parametrize("user", [".", ".."])
def test_an_id_that_is_a_step_in_a_path_is_refused(
    serve: Callable[..., Service], user: str
) -> None:
    """Else httpx would resolve it: to take a member out of a group would delete the group."""
    service = serve()
    with pytest.raises(ValueError, match="must not be"):
        service.client().delete_member("hiking", user)
    assert service.asked == []


@pytest.mark.parametrize("user", [None, True, 4.5, b"7"])
def test_what_is_no_id_is_refused(serve: Callable[..., Service], user: Any) -> None:
    """Else all users without an id would become the one user `None`."""
    service = serve()
    faces = service.client()
    for call in (
        lambda: faces.put_user(user),
        lambda: faces.open_session(user),
        lambda: faces.register(user, b"picture"),
    ):
        with pytest.raises(TypeError, match="an id is"):
            call()
    assert service.asked == []


def test_a_token_is_stripped(serve: Callable[..., Service]) -> None:
    """A file that it was read from often ends with a line break."""
    service = serve(GOOD)
    service.client(token="eyJ\n").get_user("17")
    assert service.asked[0].headers["Authorization"] == "Bearer eyJ"


@pytest.mark.parametrize("token", ["", " ", "eyJ\nsecret", "ey–secret"])
def test_what_is_no_token_is_refused_and_not_shown(
    serve: Callable[..., Service], token: str
) -> None:
    service = serve()
    with pytest.raises(ValueError, match="the token is empty") as caught:
        service.client(token=token).get_user("17")
    assert "secret" not in str(caught.value)
    assert service.asked == []


def test_a_client_without_a_token_is_refused() -> None:
    with pytest.raises(TypeError, match="the token is text or a function"):
        Client(URL, os.environ.get("NO_SUCH_VARIABLE"))  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "faces.example.com"])
def test_an_address_without_a_scheme_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="begins with http"):
        Client(url, "eyJ")


@pytest.mark.parametrize("end", ["", "/"])
def test_an_address_with_the_path_of_the_api_is_refused(end: str) -> None:
    """Each call would be answered 404, with a word about the path and none about the address."""
    with pytest.raises(ValueError, match="without /api/v1/face-recognition"):
        Client(f"{URL}/api/v1/face-recognition{end}", "eyJ")
    Client(f"{URL}/behind/a/path", "eyJ").close()


def test_who_did_not_answer_is_named(serve: Callable[..., Service]) -> None:
    service = serve(httpx.ReadTimeout(""))
    with pytest.raises(UnreachableError, match=r"from .+: ReadTimeout$") as caught:
        service.client(tries=1).get_user("17")
    assert httpx.URL(URL).host in str(caught.value)


def test_a_token_may_be_a_function(serve: Callable[..., Service]) -> None:
    service, tokens = serve(LIMITED, GOOD), iter(["one", "two"])
    service.client(token=lambda: next(tokens)).list_models()
    assert [each.headers["Authorization"] for each in service.asked] == ["Bearer one", "Bearer two"]


@pytest.mark.parametrize("early", [LIMITED, refusal(429, "requests_in_progress", retry_after="7")])
def test_what_came_too_early_is_sent_again(
    serve: Callable[..., Service], early: httpx.Response
) -> None:
    """Even a login, of which nothing was done yet."""
    service = serve(early, GOOD)
    assert service.client().verify(OWNER, PICTURE) == {"done": True}
    assert service.waits == [7]


@pytest.mark.parametrize("reply", [BUSY, LOST, PROXY])
def test_what_may_have_been_done_is_not_sent_again(
    serve: Callable[..., Service], reply: Reply
) -> None:
    """A second login by the same picture would be a replay."""
    service = serve(reply, GOOD)
    with pytest.raises((ApiError, UnreachableError)):
        service.client().verify(OWNER, PICTURE)
    assert len(service.asked) == 1


@pytest.mark.parametrize("reply", [BUSY, LOST, PROXY, DOWN])
def test_what_has_a_key_is_sent_again_with_it(serve: Callable[..., Service], reply: Reply) -> None:
    service = serve(reply, GOOD)
    assert service.client().register(OWNER, PICTURE) == {"done": True}
    first, second = (each.headers["Idempotency-Key"] for each in service.asked)
    assert first == second and UUID(first)
    assert service.asked[0].read() != b"" and PICTURE in service.asked[1].read()


@pytest.mark.parametrize("reply", [BUSY, LOST])
def test_what_only_reads_is_sent_again(serve: Callable[..., Service], reply: Reply) -> None:
    assert serve(reply, GOOD).client().identify(PICTURE) == {"done": True}
    assert serve(reply, GOOD).client().identify_face("face_1") == {"done": True}
    assert serve(reply, GOOD).client().list_users() == {"done": True}


def test_what_was_never_sent_is_sent_again(serve: Callable[..., Service]) -> None:
    assert serve(DOWN, GOOD).client().verify(OWNER, PICTURE) == {"done": True}


def test_another_refusal_is_final(serve: Callable[..., Service]) -> None:
    service = serve(refusal(422, "no_face"), GOOD)
    with pytest.raises(ApiError) as refused:
        service.client().register(OWNER, PICTURE)
    assert (refused.value.code, refused.value.request_id) == ("no_face", "r1")


def test_it_gives_up(serve: Callable[..., Service]) -> None:
    service = serve(DOWN, DOWN, DOWN, GOOD)
    with pytest.raises(UnreachableError) as lost:
        service.client(tries=3).list_models()
    assert not lost.value.was_sent
    assert len(service.waits) == 2 and service.waits[0] < service.waits[1] <= 1


def test_it_does_not_wait_for_an_hour(serve: Callable[..., Service]) -> None:
    service = serve(refusal(429, "rate_limited", retry_after="3600"), GOOD)
    with pytest.raises(ApiError) as refused:
        service.client().list_models()
    assert refused.value.retry_after == 3600 and service.waits == []


@pytest.mark.parametrize(
    "answer", [httpx.Response(200, html="<h1>Log in</h1>"), httpx.Response(200, json=[])]
)
def test_an_answer_of_something_else_is_named(
    serve: Callable[..., Service], answer: httpx.Response
) -> None:
    with pytest.raises(ApiError) as refused:
        serve(answer).client().list_models()
    assert refused.value.code == "no_json"


def test_the_other_client_waits_and_sends_again(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(LIMITED, DOWN, GOOD)

    async def sleep(seconds: float) -> None:
        service.waits.append(seconds)

    async def main() -> Any:
        monkeypatch.setattr("facesvc.client.binding.anyio.sleep", sleep)
        http = httpx.AsyncClient(transport=httpx.MockTransport(service.answer))
        async with AsyncClient(URL, "eyJ", http=http) as faces:
            return await faces.get_user(OWNER)

    assert asyncio.run(main()) == {"done": True}
    assert service.waits[0] == 7 and len(service.waits) == 2


def test_it_needs_no_other_package_of_the_service() -> None:
    """In a program that has httpx alone, nothing else of ours or of the service is imported."""
    program = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"django", "rest_framework", "numpy", "cv2", "PIL", "recognition",
                                  "management", "batch", "tqdm", "environs"}:
            raise ImportError(name + " is not installed")
sys.meta_path.insert(0, Absent())
from facesvc.client import AsyncClient, Client, verify_callback
Client("http://localhost", "eyJ").close()
print(sorted(name for name in sys.modules if name.startswith("facesvc") and "client" not in name))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=BASE_DIR, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("['facesvc']\n", "")
