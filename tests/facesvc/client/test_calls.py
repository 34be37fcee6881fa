"""The Python client against the service: every kind of call, by both clients."""

import base64
import hmac
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from cryptography.fernet import Fernet
from pytest_django import Settings

from batch.jobs import work
from batch.webhooks import signing
from facesvc.client import (
    ApiError,
    AsyncClient,
    CallbackError,
    Client,
    UnfinishedJobError,
    answers,
    verify_callback,
)
from recognition.access import SCOPES
from tests.facesvc.client.conftest import URL, Here, done
from tests.support.builders import (
    FRIEND,
    OWNER,
    PICTURE,
    FakePipeline,
    make_user,
    service_token,
    vector,
)

pytestmark = pytest.mark.django_db
UNKNOWN = UUID(int=7)


@pytest.fixture(autouse=True)
def one_face(fake: FakePipeline, settings: Settings) -> None:
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    fake.show(vector(1))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "Ann's “photo”.png"
    path.write_bytes(PICTURE)
    return path


def test_it_works(client: Client, photo: Path) -> None:
    user = client.put_user(OWNER, display_name="Ann", privacy_level="public")
    assert user["display_name"] == "Ann"
    face = client.register(OWNER, photo, metadata={"source": "profile"})
    assert client.verify(OWNER, PICTURE)["is_match"]
    found = client.identify(PICTURE, search_scope={"user_groups": ["public"]})
    assert [each["face_id"] for each in found["candidates"]] == [face["face_id"]]
    assert client.patch_face(face["face_id"], face_group="work")["face_group"] == "work"
    assert client.delete_face(face["face_id"])["face_id"] == face["face_id"]


@pytest.mark.parametrize(
    "user", ["auth0|64f", "17", "Zoë/Ångström?", "a b%20c#", OWNER], ids=lambda user: str(user)
)
def test_ids_of_an_app_come_back_as_they_were_sent(client: Client, user: str | UUID) -> None:
    assert client.put_user(user)["user_id"] == str(user)
    assert client.register(user, PICTURE)["user_id"] == str(user)
    assert [face["user_id"] for face in client.iter_faces(user)] == [str(user)]
    assert client.erase_user(user)["user_id"] == str(user)


def test_the_number_of_a_user_is_an_id(client: Client) -> None:
    """As the primary key of Django is, in paths, forms, queries and bodies."""
    assert client.put_user(17, privacy_level="public")["user_id"] == "17"
    assert client.register(17, PICTURE)["user_id"] == "17"
    assert client.verify(17, PICTURE)["is_match"]
    assert client.identify(PICTURE, on_behalf_of=17)["candidates"][0]["user_id"] == "17"
    assert client.open_session(17, purpose="login")["user_id"] == "17"
    assert [face["user_id"] for face in client.iter_all_faces(user_id=17)] == ["17"]
    assert client.erase_user(17)["user_id"] == "17"


def test_numbers_are_ids_inside_of_what_is_sent(
    client: Client, photo: Path, fake: FakePipeline
) -> None:
    """A batch, a graph and the faces of a group photo name users in dictionaries."""
    lines: list[dict[str, Any]] = [{"user": {"user_id": each}} for each in (17, 18)]
    lines += [{"friendship": [17, 18]}, {"membership": {"group": "hiking", "user_id": 17}}]
    client.import_graph([{"group": "hiking"}, *lines])
    assert [each["user_id"] for each in client.iter_friends(17)] == ["18"]
    assert [each["user_id"] for each in client.iter_members("hiking")] == ["17"]
    client.import_graph([{"remove": line} for line in lines[2:]])
    assert not [*client.iter_friends(17), *client.iter_members("hiking")]
    job = client.batch_register([{"image": photo, "user_id": 17, "metadata": {"user_id": 5}}])
    work.work()
    (item,) = client.iter_batch_results(job["job_id"])
    assert item["result"]["user_id"] == "17"
    assert [each["metadata"]["user_id"] for each in client.iter_faces(17)] == [5]  # the app's own
    fake.show([vector(2), vector(3)])
    named: list[answers.FaceOfPhoto] = [{"face_index": at, "user_id": 17 + at} for at in (0, 1)]
    assert [each["user_id"] for each in client.register_faces(photo, named)["faces"]] == [
        "17",
        "18",
    ]


def test_what_is_no_id_is_refused_inside_of_what_is_sent(client: Client) -> None:
    """Else all users without an id would become the one user `None`, or the import would fail."""
    user: Any = None
    for call in (
        lambda: client.batch_register([{"image": PICTURE, "user_id": user}]),
        lambda: client.register_faces(PICTURE, [{"face_index": 0, "user_id": user}]),
        lambda: client.import_graph([{"user": {"user_id": user}}]),
        lambda: client.import_graph([{"remove": {"friendship": [17, user]}}]),
    ):
        with pytest.raises(TypeError, match="an id is"):
            call()


def test_the_other_client_works_too(async_client: AsyncClient, photo: Path) -> None:
    async def main() -> None:
        async with async_client as faces:
            face = await faces.register(OWNER, photo)
            assert (await faces.verify(OWNER, PICTURE))["is_match"]
            listed = [each["face_id"] async for each in faces.iter_faces(OWNER)]
            assert listed == [face["face_id"]]
            with pytest.raises(ApiError):
                await faces.get_user(UNKNOWN)

    done(main())


def test_a_refusal_says_everything(client: Client) -> None:
    with pytest.raises(ApiError) as refused:
        client.get_user(UNKNOWN)
    error = refused.value
    assert (error.code, error.status, error.details) == ("user_not_found", 404, {})
    assert error.request_id and error.request_id in str(error)
    assert error.message == "There is no such user." and error.message in str(error)


def test_all_pages_are_read(client: Client, async_client: AsyncClient) -> None:
    ids = {str(UUID(int=number)) for number in range(1, 8)}
    for each in ids:
        make_user(UUID(each))
    assert {user["user_id"] for user in client.iter_users(page_size=3)} == ids
    assert len(client.list_users(page_size=3)["users"]) == 3

    async def main() -> set[str]:
        return {user["user_id"] async for user in async_client.iter_users(page_size=3)}

    assert done(main()) == ids


def test_an_id_of_any_characters(client: Client) -> None:
    user_id, admin = "auth0|7/ñ%2F", service_token("moderation", SCOPES)
    client.put_user(user_id)
    assert client.get_user(user_id)["user_id"] == user_id
    moderator = Client(URL, admin, http=httpx.Client(transport=Here()))
    moderator.suspend_user(user_id, on_behalf_of=user_id)
    event, *_ = moderator.list_audit_events(user_id=user_id)["events"]
    assert (event["user_id"], event["viewer_id"]) == (user_id, user_id)


def test_friends_groups_and_a_graph(client: Client) -> None:
    lines = [{"user": {"user_id": str(each)}} for each in (OWNER, FRIEND)]
    assert client.import_graph(lines)["users"]["created"] == 2
    client.put_friend(OWNER, FRIEND)
    assert [each["user_id"] for each in client.iter_friends(OWNER)] == [str(FRIEND)]
    name = "hiking & more/less?"
    if client.put_group("hiking")["name"] == "hiking":
        client.put_member("hiking", OWNER)
    with pytest.raises(ApiError) as refused:  # a slash ends no segment of the path
        client.get_group(name)
    assert refused.value.code in {"group_not_found", "invalid_request", "not_found"}
    assert client.get_member("hiking", OWNER)["user_id"] == str(OWNER)
    client.delete_friend(OWNER, FRIEND)


def test_a_job(client: Client, photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = [{"image_id": "a", "image": photo, "user_id": str(OWNER)}]
    job = client.batch_register(pictures)  # type: ignore[arg-type]  as a plain dict
    with pytest.raises(UnfinishedJobError):
        client.wait_for_job(job["job_id"], timeout=0)
    work.work()
    done = client.wait_for_job(job["job_id"], bar=True)
    assert (done["status"], done["succeeded"]) == ("completed", 1)
    assert "1/1" in capsys.readouterr().err
    (item,) = client.iter_batch_results(job["job_id"])
    assert (item["image_id"], item["status"]) == ("a", "success")


def test_a_batch_at_once(client: Client, photo: Path) -> None:
    done = client.batch_identify([photo, PICTURE], search_scope={"user_groups": ["public"]})
    assert [each["image_id"] for each in done["results"]] == [photo.name, "1"]  # type: ignore[typeddict-item]


def test_a_job_by_the_other_client(async_client: AsyncClient) -> None:
    async def main() -> str:
        job = await async_client.batch_identify([PICTURE], processing_options={"async": True})
        work.work()
        ended = await async_client.wait_for_job(job["job_id"])  # type: ignore[typeddict-item]
        return ended["status"]

    assert done(main()) == "completed"


def test_frames_of_a_call(client: Client, async_client: AsyncClient) -> None:
    client.register(OWNER, PICTURE)
    with client.live_call(OWNER) as call:
        assert call.frame(PICTURE)["state"] == "verifying"
        assert call.frame(PICTURE)["session_id"] == call.session["session_id"]
    assert client.get_session(call.session["session_id"])["state"] == "ended"

    async def main() -> str:
        async with async_client.live_call(OWNER) as live:
            return (await live.frame(PICTURE))["state"]

    assert done(main()) == "verifying"


def test_an_answer_is_repeated_for_the_same_key(client: Client) -> None:
    first = client.register(OWNER, PICTURE, idempotency_key="album-17")
    assert client.register(OWNER, PICTURE, idempotency_key="album-17") == first
    assert len(client.list_faces(OWNER)["faces"]) == 1


# --- callbacks ------------------------------------------------------------------------------------

BODY = b'{"type": "batch.completed", "data": {"job_id": "job_1"}}'


@pytest.fixture
def secret() -> str:
    return signing.current("app")


def test_a_callback_is_verified(secret: str) -> None:
    signed = signing.headers("app", "msg_1", BODY)
    assert verify_callback(secret, signed, BODY)["data"]["job_id"] == "job_1"
    titled = {name.title(): value for name, value in signed.items()}
    assert verify_callback(secret, titled, BODY)["type"] == "batch.completed"


def test_both_secrets_count_after_a_rotation(secret: str) -> None:
    newest = signing.rotate("app")
    signed = signing.headers("app", "msg_1", BODY)
    assert verify_callback(secret, signed, BODY) == verify_callback(newest, signed, BODY)


def test_a_callback_of_somebody_else_is_refused(secret: str) -> None:
    signed = signing.headers("other", "msg_1", BODY)
    with pytest.raises(CallbackError, match="signature"):
        verify_callback(secret, signed, BODY)


def test_an_altered_callback_is_refused(secret: str) -> None:
    signed = signing.headers("app", "msg_1", BODY)
    with pytest.raises(CallbackError, match="signature"):
        verify_callback(secret, signed, BODY.replace(b"job_1", b"job_2"))


def test_an_old_callback_is_refused(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    signed = signing.headers("app", "msg_1", BODY)
    moment = int(signed["webhook-timestamp"])
    for later in (301, -301):
        monkeypatch.setattr("facesvc.client.callbacks.time.time", lambda at=moment + later: at)
        with pytest.raises(CallbackError, match="old"):
            verify_callback(secret, signed, BODY)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_callback_without_a_header_is_refused(secret: str, name: str) -> None:
    signed = signing.headers("app", "msg_1", BODY)
    del signed[name]
    with pytest.raises(CallbackError, match="header"):
        verify_callback(secret, signed, BODY)


def test_a_secret_is_stripped(secret: str) -> None:
    """A file that it was read from often ends with a line break."""
    signed = signing.headers("app", "msg_1", BODY)
    assert verify_callback(f"{secret}\n", signed, BODY)["type"] == "batch.completed"


@pytest.mark.parametrize("empty", ["", "whsec_", "\n"])
def test_an_empty_secret_is_refused(secret: str, empty: str) -> None:
    """Else an app without the setting would believe everybody: anybody can sign with no key."""
    signed = signing.headers("app", "msg_1", BODY)
    content = f"msg_1.{signed['webhook-timestamp']}.".encode() + BODY
    forged = base64.b64encode(hmac.digest(b"", content, "sha256")).decode()
    with pytest.raises(CallbackError, match="the secret is empty"):
        verify_callback(empty, {**signed, "webhook-signature": f"v1,{forged}"}, BODY)


def test_what_is_no_secret_is_refused(secret: str) -> None:
    with pytest.raises(CallbackError, match="whsec_"):
        verify_callback("$ecret", signing.headers("app", "msg_1", BODY), BODY)
