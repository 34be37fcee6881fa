"""identify and batches over HTTP, on a replica that does not know that somebody is hidden."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from cryptography.fernet import Fernet
from pytest_django import Settings

from batch.jobs import work
from management import erasure, moderation
from recognition.gallery.replicas import asking
from recognition.models import Face, Friendship, Membership, User
from recognition.packs import engine
from tests.support.builders import (
    FRIEND,
    OWNER,
    PICTURE_BASE64,
    STRANGER,
    FakePipeline,
    Person,
    befriend,
    data_of,
    make_face,
    make_group,
    make_user,
    near,
    vector,
)
from tests.support.servers.standby import Standby, searches

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True, databases=["default", "search"]),
]
COLLEAGUE, PUBLIC = UUID(int=11), UUID(int=12)
IMAGES = [{"image_id": "one", "image": PICTURE_BASE64}]
Json = dict[str, Any]


def identified(service: Person, body: Json) -> Json:
    return data_of(service.post("identify", image=PICTURE_BASE64, **body))


def at_once(service: Person, body: Json) -> Json:
    (item,) = data_of(service.post("batch-identify", images=IMAGES, **body))["results"]
    result: Json = item["result"]
    return result


def by_a_job(service: Person, body: Json) -> Json:
    options = {"processing_options": {"async": True}}
    job = data_of(service.post("batch-identify", images=IMAGES, **options, **body), 202)
    work.work()
    (item,) = data_of(service.get(f"batch-jobs/{job['job_id']}/results"))["results"]
    result: Json = item["result"]
    return result


def faces_of(user: UUID) -> Any:
    return Face.objects.filter(user=user)


# What hides somebody, who that is, and how many of the faces are searched no longer.
HIDING: dict[str, tuple[UUID, Callable[[], Any], int]] = {
    "suspended user": (FRIEND, lambda: moderation.suspend_user(actor="t", user_id=FRIEND), 2),
    "private": (FRIEND, lambda: User.objects.filter(pk=FRIEND).update(privacy_level="private"), 2),
    "public who turns private": (
        PUBLIC,
        lambda: User.objects.filter(pk=PUBLIC).update(privacy_level="private"),
        2,
    ),
    "unfriended": (FRIEND, lambda: Friendship.objects.all().delete(), 2),
    "left the group": (COLLEAGUE, lambda: Membership.objects.filter(user=COLLEAGUE).delete(), 2),
    "suspended faces": (
        FRIEND,
        lambda: [
            moderation.suspend_face(actor="t", face_id=face.face_id) for face in faces_of(FRIEND)
        ],
        2,
    ),
    "not taggable": (FRIEND, lambda: faces_of(FRIEND).update(taggable="nobody"), 2),
    "deleted faces": (FRIEND, lambda: faces_of(FRIEND).delete(), 2),
    # The faces go to a stranger's account.
    "merged": (
        FRIEND,
        lambda: moderation.merge_users(actor="t", user_id=FRIEND, into=STRANGER),
        0,
    ),
    "erased": (FRIEND, lambda: erasure.erase(actor="t", user_id=FRIEND), 2),
}


@pytest.fixture
def people(replica: Standby, fake: FakePipeline, settings: Settings) -> None:
    """The viewer's friend, a colleague and somebody public, with two faces each like the probe."""
    settings.FACESVC_REPLICA_MAX_LAG = 3600
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    owner, friend, colleague = make_user(OWNER), make_user(FRIEND), make_user(COLLEAGUE)
    public = make_user(PUBLIC, "public")
    make_user(STRANGER)
    for number, user in enumerate((friend, colleague, public)):
        for one in range(2):
            make_face(user, near(vector(1), 0.985 + 0.002 * number + 0.001 * one, toward=20 + one))
    befriend(owner, friend)
    make_group("club", owner, colleague)
    engine.active_model()
    fake.show(vector(1))
    replica.catch_up()
    replica.pause()


@pytest.mark.parametrize("match_on", ["face", "user"])
@pytest.mark.parametrize("ask", [identified, at_once, by_a_job])
@pytest.mark.parametrize("what", HIDING)
def test_nobody_hidden(
    people: None,
    service: Person,
    what: str,
    ask: Callable[[Person, Json], Json],
    match_on: str,
) -> None:
    body: Json = {
        "on_behalf_of": str(OWNER),
        "search_scope": {
            "user_groups": ["public", "friends", "club"],
            "match_on": match_on,
            "max_false_positive_rate": 1.0,
        },
        "metadata": {"source": "auto_tagging"},
    }
    everybody = {FRIEND, COLLEAGUE, PUBLIC}
    found, searched = ask_for(ask, service, body)
    assert found == everybody and searched == 6
    user, hide, fewer = HIDING[what]
    hide()
    found, searched = ask_for(ask, service, body)
    if what == "merged":  # the friend's friends are the stranger's now
        assert user not in found and found <= {STRANGER, *everybody}
    else:
        assert found == everybody - {user}
    assert searched == 6 - fewer


def test_the_position_is_asked_for_before_the_networks_run(
    people: None, service: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Afterwards it would be one that no replica has replayed yet, and the primary would count."""
    steps: list[str] = []

    def noted(module: Any, name: str) -> None:
        own = getattr(module, name)

        def step(*args: Any, **options: Any) -> Any:
            steps.append(name)
            return own(*args, **options)

        monkeypatch.setattr(module, name, step)

    noted(asking, "moment")
    noted(engine, "look")
    identified(service, {"on_behalf_of": str(OWNER)})
    assert steps == ["moment", "look"]


def ask_for(
    ask: Callable[[Person, Json], Json], service: Person, body: Json
) -> tuple[set[UUID], int]:
    """Who is found, and how many faces were searched; by the replica."""
    on_primary, on_replica = searches()
    answer = ask(service, body)
    assert searches() == (on_primary, on_replica + 1), asking._pauses.reasons
    (face,) = answer["faces"]
    found = {UUID(candidate["user_id"]) for candidate in face["candidates"]}
    return found, answer["search_stats"]["faces_searched"]
