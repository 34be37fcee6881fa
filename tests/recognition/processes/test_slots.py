"""Slots to compute in: in order, a bounded number who wait, and none that gets lost."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from types import SimpleNamespace

import pytest
from django.conf import settings
from pytest_django import Settings

from recognition.collections.current import DEFAULT, Entered, entered
from recognition.inference.arrays import Image
from recognition.inference.detection.results import Detections
from recognition.inference.pipeline import DetectedFace, FacePipeline
from recognition.inference.sessions import Model
from recognition.packs import engine
from recognition.packs.scores import ScoreScale
from recognition.processes import slots, user_requests
from recognition.processes.capacity import Bytes
from recognition.processes.current_request import CurrentRequest, WaitLimit, answering
from recognition.processes.slots import InferenceSlots, OverloadedError
from tests.support.patience import PATIENCE

UNLIMITED, REQUEST, HASTY = WaitLimit(), WaitLimit(30, takes_place=True), WaitLimit(0.01, True)


def queued(
    slots: InferenceSlots, threads: ThreadPoolExecutor, task: Callable[[], object]
) -> Future[object]:
    """The task in a thread, when it waits for its slot."""
    before = len(slots._queue)
    future = threads.submit(task)
    while len(slots._queue) == before:
        assert not future.done()
    return future


def test_it_works() -> None:
    slots, order = InferenceSlots(1, places=3), []
    slots.take(REQUEST)

    def work(number: int) -> None:
        slots.take(REQUEST)
        order.append(number)
        slots.give_back()

    with ThreadPoolExecutor(3) as threads:
        for number in range(3):
            queued(slots, threads, lambda number=number: work(number))  # type: ignore[misc]
        assert order == []
        slots.give_back()
    assert order == [0, 1, 2]
    assert slots._free == 1


def test_too_many_are_refused_at_once() -> None:
    slots = InferenceSlots(1, places=1)
    slots.take(REQUEST)
    with ThreadPoolExecutor(2) as threads:
        waiting = queued(slots, threads, lambda: slots.take(REQUEST))
        with pytest.raises(OverloadedError):
            slots.take(REQUEST)
        # Who has few threads, or few batches, of its own needs no place.
        job = queued(slots, threads, lambda: slots.take(UNLIMITED))
        slots.give_back()
        waiting.result()
        slots.give_back()
        job.result()
    slots.give_back()
    assert slots._free == 1


def test_who_waits_for_a_next_photo_counts_as_well() -> None:
    """They have threads, too: with all of them, the process could not even say that it is busy."""
    room, going_on = InferenceSlots(1, places=2), replace(limit_of("many"), takes_place=False)
    full = slots.REFUSED.labels("full")._value
    before = full.get()
    room.take(REQUEST)
    with ThreadPoolExecutor(3) as threads:
        first = [queued(room, threads, lambda: room.take(going_on)) for _ in range(2)]
        for subject in ("many", "other"):
            with pytest.raises(OverloadedError):
                room.take(replace(limit_of(subject), seconds=0.01))
        refused = full.get() - before
        room.give_back()
        first[0].result(PATIENCE)
        other = threads.submit(lambda: room.take(limit_of("other")))
        for each in (first[1], other):
            room.give_back()
            each.result(PATIENCE)
    room.give_back()
    assert refused == 2  # at once, and nobody who goes on was sent away
    assert room._free == 1


def test_who_waited_too_long_leaves_the_place() -> None:
    slots = InferenceSlots(1, places=1)
    slots.take(REQUEST)
    for _ in range(3):
        with pytest.raises(OverloadedError):
            slots.take(HASTY)
    slots.give_back()
    slots.take(HASTY)


def test_sixteen_clients_of_one_process_wait_with_the_default_settings() -> None:
    """Connections are not spread evenly over the processes: one may have all of them."""
    at_once, places = settings.FACESVC_INFERENCE_AT_ONCE, settings.FACESVC_INFERENCE_WAITING
    slots = InferenceSlots(at_once, places)

    def work() -> None:
        slots.take(REQUEST)
        slots.give_back(0.05)

    for _ in range(at_once):
        slots.take(REQUEST)
    with ThreadPoolExecutor(16) as threads:
        waiting = [queued(slots, threads, work) for _ in range(16 - at_once)]
        for _ in range(at_once):
            slots.give_back(0.05)
        for each in waiting:
            each.result(PATIENCE)
    assert slots._free == at_once


def test_who_would_wait_too_long_is_refused_at_once() -> None:
    """By what the last ones took, and by whose turn comes before: callers take turns."""
    slots = InferenceSlots(2, places=9)
    for _ in range(99):
        slots.take(REQUEST)
        slots.give_back(20.0)
    slots.take(limit_of("first"))
    slots.take(limit_of("first"))
    with ThreadPoolExecutor(3) as threads:
        first = [queued(slots, threads, lambda: slots.take(limit_of("first"))) for _ in range(2)]
        with pytest.raises(OverloadedError):  # the third in a row would wait 30 seconds
            slots.take(replace(limit_of("first"), seconds=29))
        other = queued(slots, threads, lambda: slots.take(replace(limit_of("other"), seconds=29)))
        for each in (first[0], other, first[1]):
            slots.give_back(0.0)
            each.result(PATIENCE)
    for _ in range(99):
        slots.give_back(0.0)
        slots.take(REQUEST)
    assert slots._wait("first") < 0.1
    slots.give_back()
    slots.give_back()


def test_the_first_in_line_waits_however_slow_the_last_ones_were() -> None:
    """Otherwise somebody who keeps the slots busy with slow pictures has everybody else refused."""
    slots = InferenceSlots(1, places=9)
    for _ in range(99):
        slots.take(REQUEST)
        slots.give_back(10 * PATIENCE)
    slots.take(limit_of("slow"))
    with ThreadPoolExecutor(1) as threads:
        first = queued(slots, threads, lambda: slots.take(limit_of("other")))
        with pytest.raises(OverloadedError):
            slots.take(limit_of("third"))
        slots.give_back()
        first.result(PATIENCE)
    slots.give_back()


def limit_of(subject: str) -> WaitLimit:
    return WaitLimit(PATIENCE, takes_place=True, subject=subject)


def test_subjects_take_slots_one_after_the_other() -> None:
    """A client with many requests delays nobody by more than one of them."""
    slots, order = InferenceSlots(1, places=9), []
    slots.take(limit_of("first"))

    def work(name: str) -> None:
        slots.take(limit_of(name[0]))
        order.append(name)
        slots.give_back()

    with ThreadPoolExecutor(6) as threads:
        for name in ("a1", "a2", "a3", "b1", "b2", "c1"):
            queued(slots, threads, lambda name=name: work(name))  # type: ignore[misc]
        slots.give_back()
    assert order == ["a1", "b1", "c1", "a2", "b2", "a3"]
    assert slots._free == 1


def test_the_same_name_in_another_collection_is_another_subject(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue, subjects = InferenceSlots(1, places=9), []
    monkeypatch.setattr(slots, "_slots", lambda *_: queue)
    take = queue.take
    monkeypatch.setattr(queue, "take", lambda limit: (subjects.append(limit.subject), take(limit)))
    for collection in (DEFAULT, Entered(2, "shop")):
        request = CurrentRequest(limit=limit_of("app"))
        with entered(collection), answering(request), slots.slot():
            pass
    assert len({*subjects}) == 2


def test_the_newest_of_who_has_most_places_makes_room() -> None:
    slots = InferenceSlots(1, places=3)
    slots.take(limit_of("first"))
    with ThreadPoolExecutor(4) as threads:
        loud = [queued(slots, threads, lambda: slots.take(limit_of("loud"))) for _ in range(3)]
        with pytest.raises(OverloadedError):
            slots.take(limit_of("loud"))
        quiet = threads.submit(slots.take, limit_of("quiet"))
        with pytest.raises(OverloadedError):
            loud[2].result(PATIENCE)
        # Two places of one and one of another are fair: a third subject has to come again.
        slots.give_back()
        loud[0].result(PATIENCE)
        slots.give_back()
        quiet.result(PATIENCE)
        slots.give_back()
        loud[1].result(PATIENCE)
        slots.give_back()
    assert slots._free == 1


def test_nobody_makes_room_where_places_are_shared() -> None:
    slots = InferenceSlots(1, places=2)
    slots.take(limit_of("first"))
    with ThreadPoolExecutor(2) as threads:
        waiting = [
            queued(slots, threads, lambda name=name: slots.take(limit_of(name)))  # type: ignore[misc]
            for name in ("a", "b")
        ]
        with pytest.raises(OverloadedError):
            slots.take(limit_of("c"))
        for each in waiting:
            slots.give_back()
            each.result(PATIENCE)
    slots.give_back()


def test_a_failure_gives_the_slot_back(settings: Settings) -> None:
    settings.FACESVC_INFERENCE_AT_ONCE, settings.FACESVC_INFERENCE_WAITING = 1, 0
    with answering(CurrentRequest(limit=HASTY)):
        with pytest.raises(ZeroDivisionError), slots.slot():
            with pytest.raises(OverloadedError), slots.slot():
                pass
            _ = 1 / 0
        with slots.slot():
            pass


def test_bytes_of_bodies() -> None:
    bodies = Bytes()
    bodies.take(500, 100)  # alone of any size: views have limits of their own
    with pytest.raises(OverloadedError):
        bodies.take(1, 100)
    bodies.give_back(500)
    bodies.take(60, 100)
    with pytest.raises(OverloadedError):
        bodies.take(41, 100)
    bodies.take(40, 100)


@pytest.mark.parametrize(("pack", "side", "batch"), [("dlib", 1280, 8), ("buffalo_l", 640, 8)])
def test_warming_up_is_the_most_of_everything_together(pack: str, side: int, batch: int) -> None:
    together: list[Barrier] = [Barrier(3), Barrier(3)]
    shapes, batches = [], []

    class Recorder:
        def __init__(self) -> None:
            self.pack = engine.pack(pack)

        def detect(self, image: Image, *, rotate: bool) -> list[DetectedFace]:
            together[0].wait(PATIENCE)  # breaks unless there are three at a time
            shapes.append(image.shape)
            return []

        def look_at(self, image: Image, found: Detections) -> list[Detections]:
            return [found]

        def describe(self, image: Image, faces: list[Detections]) -> list[Detections]:
            return faces

        def embed(self, faces: list[Detections]) -> None:
            together[1].wait(PATIENCE)
            batches.append(len(faces))

    scores = ScoreScale(engine.calibration_of(engine.pack("dlib")))
    engine.Engine(Recorder(), scores).warm_up(3)  # type: ignore[arg-type]
    assert set(shapes) == {(side, side, 3)}
    assert set(batches) == {batch}


def test_warming_up_is_as_much_as_a_network_sees(
    pipeline: FacePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    detected = shapes_seen(pipeline._detector._model, monkeypatch)  # type: ignore[union-attr]
    embedded = shapes_seen(pipeline._embedder._model._model, monkeypatch)
    scores = ScoreScale(engine.calibration_of(pipeline.pack))
    engine.Engine(pipeline, scores).warm_up(1)
    border = 22
    assert max(detected) == (1, 3, 1280 + border, 1280 + border)
    assert set(embedded) == {(8, 3, 150, 150)}


def shapes_seen(network: Model, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    run, seen = network.run, list[tuple[int, ...]]()
    monkeypatch.setattr(network, "run", lambda batch: (seen.append(batch.shape), run(batch))[1])
    return seen


def test_one_request_of_an_end_user_computes_at_a_time(settings: Settings) -> None:
    """The second one waits although a slot is free, which somebody else may have at once."""
    settings.FACESVC_INFERENCE_AT_ONCE = 2

    def compute(limit: WaitLimit) -> None:
        with answering(CurrentRequest(limit=limit)), slots.slot():
            pass

    user = WaitLimit(PATIENCE, takes_place=True, subject="user", is_alone=True)
    with ThreadPoolExecutor(1) as threads:
        with answering(CurrentRequest(limit=user)), slots.slot():
            second = threads.submit(compute, user)
            compute(limit_of("app"))
            with pytest.raises(OverloadedError):
                compute(replace(user, seconds=0.05))
            assert not second.done()
        second.result(PATIENCE)
    compute(user)


def test_an_end_user_waits_no_longer_than_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the own other request and for a slot together."""
    now, limits = [100.0], []

    def sleep(seconds: float) -> None:
        now[0] += seconds

    def begin_computing(user: str) -> int | None:
        return 7 if now[0] >= 103 else None

    users = SimpleNamespace(begin_computing=begin_computing, end=lambda place: None)
    clock = SimpleNamespace(monotonic=lambda: now[0], perf_counter=lambda: now[0], sleep=sleep)
    monkeypatch.setattr(user_requests, "in_progress", users)
    monkeypatch.setattr(slots, "time", clock)
    monkeypatch.setattr(InferenceSlots, "take", lambda self, limit: limits.append(limit.seconds))
    monkeypatch.setattr(InferenceSlots, "give_back", lambda self, seconds: None)
    for seconds in (5.0, None):
        now[0] = 100.0
        user = WaitLimit(seconds, takes_place=True, subject="user", is_alone=True)
        with answering(CurrentRequest(limit=user)), slots.slot():
            pass
    assert limits == [pytest.approx(2, abs=0.1), None]
