"""GET /faces: the faces of all users, for services."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from management.api import answers, filters
from recognition.models import Face
from tests.support.builders import (
    FRIEND,
    OWNER,
    Person,
    data_of,
    make_face,
    make_user,
    refusal,
    vector,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def faces(db: None) -> list[Face]:
    """The oldest first."""
    owner, friend = make_user(OWNER), make_user(FRIEND)
    made = [
        make_face(owner, vector(1), metadata={"source": "profile"}),
        make_face(owner, vector(2), face_group="passport"),
        make_face(friend, vector(3), metadata={"source": "profile", "context": "x"}),
        make_face(friend, vector(4), suspended_at=timezone.now(), metadata={"source": 7}),
    ]
    for day, face in enumerate(made, start=1):
        Face.objects.filter(pk=face.pk).update(created_at=datetime(2026, 1, day, tzinfo=UTC))
    return made


def found(service: Person, faces: list[Face], **query: str) -> list[int]:
    """The numbers of the faces, in the order of the answer."""
    numbers = {face.face_id: number for number, face in enumerate(faces)}
    return [numbers[each["face_id"]] for each in data_of(service.get("faces", **query))["faces"]]


def test_it_works(service: Person, faces: list[Face]) -> None:
    """The newest first, and suspended ones too, as services see them."""
    assert found(service, faces) == [3, 2, 1, 0]
    first, *_ = data_of(service.get("faces"))["faces"]
    assert set(first) == set(answers.Face.of(faces[3]))
    assert first["suspended_at"] is not None


def test_filters(service: Person, faces: list[Face]) -> None:
    assert found(service, faces, user_id=str(OWNER)) == [1, 0]
    assert found(service, faces, user_id=str(OWNER).upper()) == [1, 0]
    assert found(service, faces, face_group="passport") == [1]
    assert found(service, faces, face_group="primary") == [3, 2, 0]
    assert found(service, faces, source="profile") == [2, 0]
    assert found(service, faces, source="profile", user_id=str(FRIEND)) == [2]
    assert found(service, faces, created_since="2026-01-02T00:00:00Z") == [3, 2, 1]
    assert found(service, faces, created_before="2026-01-02T00:00:00Z") == [0]
    day = {"created_since": "2026-01-02T01:00:00+01:00", "created_before": "2026-01-03T00:00:00Z"}
    assert found(service, faces, **day) == [1]
    assert found(service, faces, source="nowhere") == []
    assert found(service, faces, user_id="0000000f-0000-4000-8000-00000000000f") == []


def test_pages(service: Person, faces: list[Face]) -> None:
    """Every page of a filtered list has the filter."""
    seen, cursor = [], {}
    while True:
        page = data_of(service.get("faces", source="profile", page_size="1", **cursor))
        seen += [each["face_id"] for each in page["faces"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == [faces[2].face_id, faces[0].face_id]


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ({"face_group": "passport"}, "face_by_group"),
        ({"source": "profile"}, "face_by_source"),
        ({"created_before": "2026-01-02T00:00:00Z"}, "face_by_age"),
    ],
)
def test_a_filter_that_few_faces_pass_reads_no_others(
    faces: list[Face], query: dict[str, str], index: str
) -> None:
    old = timezone.now() - timedelta(days=1)
    fields = {"quality_score": 0.5, "quality_components": {}, "attributes": {}}
    # Numbered: so many random ids at once would have two equal ones in one of a thousand runs.
    fields |= {"user": faces[0].user, "metadata": {"source": "app"}}
    many = [Face(face_id=f"face_{number:012x}", **fields) for number in range(3000)]
    Face.objects.bulk_create(many)
    Face.objects.filter(metadata__source="app").update(created_at=old)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE recognition_face")
    assert index in filters.faces(query).order_by("-id")[:51].explain()


# --- refusals -------------------------------------------------------------------------------------


def test_end_users_may_not(owner: Person, faces: list[Face]) -> None:
    for query in ({}, {"user_id": str(OWNER)}):
        assert refusal(owner.get("faces", **query)) == (403, "service_only")


@pytest.mark.parametrize(
    "query",
    [
        {"user_id": ""},
        {"face_group": "a\0b"},
        {"source": "x" * 201},
        {"created_since": "yesterday"},
        {"created_since": "2026-01-02T00:00:00"},
        {"created_before": "2026-13-02T00:00:00Z"},
        {"page_size": "0"},
    ],
)
def test_a_value_that_cannot_be(service: Person, query: dict[str, str]) -> None:
    assert refusal(service.get("faces", **query)) == (400, "invalid_request")


def test_an_unknown_filter(service: Person) -> None:
    assert refusal(service.get("faces", group="passport")) == (400, "unknown_field")
