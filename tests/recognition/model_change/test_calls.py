"""A call whose model changes: between two of its frames, and while one is looked at.

The key of the templates changes, which is a change of the model that needs no second pack.
"""

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.core.cache import caches
from django.utils import timezone
from pytest_django import Settings

from recognition import model_change
from recognition.access import Caller
from recognition.model_change import TemplateTarget
from recognition.models import Attempt, RecentProbe, Session, Template
from recognition.packs import engine, protection
from recognition.verification import frames, matching, sessions
from tests.support.builders import (
    OWNER,
    FakePipeline,
    fake_engine,
    make_face,
    make_user,
    vector,
)
from tests.support.photos import encode

pytestmark = pytest.mark.django_db(transaction=True)
APP = Caller("app", None, frozenset({"face:verify"}))
USER = vector(1)


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> TemplateTarget:
    """Another key. Faces are those of a fake pipeline, whose engine follows the active key."""
    faked = fake_engine()
    pipeline: Any = faked.pipeline
    assert isinstance(pipeline, FakePipeline)
    pipeline.show(USER)
    pipeline.varies = True
    monkeypatch.setattr(
        engine,
        "current",
        lambda: replace(faked, template_key=engine.active_model().template_key),
    )
    caches["templates"].clear()
    make_face(make_user(OWNER), USER)
    engine.active_model()  # without a key
    settings.FACESVC_LIVE_FRAMES_PER_SECOND = 1000
    settings.FACESVC_TEMPLATE_KEYS = (base64.urlsafe_b64encode(bytes(32)).decode(),)
    return TemplateTarget("dlib", protection.newest_key())


@pytest.fixture
def frame(target: TemplateTarget) -> Callable[[], str]:
    """Sends another frame of one call. Returns the state after it."""
    session = sessions.open_session(
        caller=APP, user_id=OWNER, purpose="video_call", level="standard"
    )
    numbers = iter(range(1, 100))

    def send() -> str:
        picture = encode(np.full((48, 64, 3), next(numbers), np.uint8))
        taken = frames.take(caller=APP, session_id=str(session.pk), frame=frames.Frame(picture))
        return taken.session.state

    return send


def change(target: TemplateTarget, *, is_old_dropped: bool) -> None:
    old = model_change.active_target().version
    list(model_change.reembed(target, workers=1))
    model_change.activate(target, actor="test")
    if is_old_dropped:
        model_change.drop(old)


def versions_kept() -> set[str]:
    """The models of the faces that the call keeps to compare later ones with."""
    kept = RecentProbe.objects.exclude(session=None)
    return set(kept.values_list("embedding_version", flat=True))


@pytest.mark.parametrize("is_old_dropped", [False, True])
def test_it_changes_before_the_user_is_verified(
    frame: Callable[[], str], target: TemplateTarget, is_old_dropped: bool
) -> None:
    """What another model made of the frames before says nothing of those that come."""
    assert [frame() for _ in range(2)] == ["verifying"] * 2
    change(target, is_old_dropped=is_old_dropped)
    assert [frame() for _ in range(3)] == ["verifying", "verifying", "verified"]
    assert versions_kept() == {target.version}
    assert [attempt.result for attempt in Attempt.objects.all()] == ["success"]


@pytest.mark.parametrize("is_old_dropped", [False, True])
def test_it_changes_while_the_user_is_verified(
    frame: Callable[[], str], target: TemplateTarget, is_old_dropped: bool
) -> None:
    """The user stays verified, and the time to move begins again."""
    assert [frame() for _ in range(3)][-1] == "verified"
    change(target, is_old_dropped=is_old_dropped)
    Session.objects.update(moved_at=timezone.now() - timedelta(seconds=59))
    assert [frame() for _ in range(2)] == ["verified"] * 2
    assert versions_kept() == {target.version}
    assert Session.objects.get().moved_at > timezone.now() - timedelta(seconds=30)


def test_a_face_that_is_lost_by_the_change(
    frame: Callable[[], str], target: TemplateTarget
) -> None:
    assert [frame() for _ in range(3)][-1] == "verified"
    change(target, is_old_dropped=False)
    Template.objects.filter(embedding_version=target.version).delete()
    assert frame() == "lost"


@pytest.mark.parametrize(
    ("is_old_dropped", "states"),
    [
        (False, ["verifying", "verifying", "verified", "verified", "verified"]),
        (True, ["verifying", "verifying", "verifying", "verifying", "verified"]),
    ],
)
def test_it_changes_while_a_frame_is_looked_at(
    frame: Callable[[], str],
    target: TemplateTarget,
    is_old_dropped: bool,
    states: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The third frame is looked at again if the templates that it is compared with are gone."""
    look, keys = matching.look, []

    def changed_afterwards(*args: Any, **options: Any) -> Any:
        probe = look(*args, **options)
        keys.append(probe.by.template_key)
        if len(keys) == 3:
            change(target, is_old_dropped=is_old_dropped)
        return probe

    monkeypatch.setattr(matching, "look", changed_afterwards)
    assert [frame() for _ in states] == states
    assert keys == ["", "", "", *[target.template_key] * (3 if is_old_dropped else 2)]
    assert Session.objects.get().frames == len(states)
    assert [attempt.result for attempt in Attempt.objects.all()] == ["success"]
