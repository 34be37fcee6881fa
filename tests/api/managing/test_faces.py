"""GET, PUT, PATCH and DELETE /faces/{face_id}."""

import pytest

from management.api import answers
from recognition.models import AuditEvent, Face, Template
from tests.support.builders import (
    OWNER,
    Person,
    data_of,
    make_face,
    make_user,
    refusal,
    row_counts,
    vector,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def face() -> Face:
    return make_face(make_user(OWNER), vector(1), metadata={"note": "first"})


def test_it_works(owner: Person, face: Face) -> None:
    answer = data_of(owner.get(f"faces/{face.face_id}"))
    assert set(answer) == set(answers.Face.of(face))
    assert answer["face_id"] == face.face_id
    assert answer["user_id"] == str(OWNER)
    assert answer["privacy_settings"] == {"searchable": True, "taggable": "everyone"}
    assert answer["metadata"] == {"note": "first"}
    assert (answer["verification_count"], answer["last_verified_at"]) == (0, None)


@pytest.mark.parametrize("method", ["put", "patch"])
def test_what_is_given_changes_and_the_rest_stays(owner: Person, face: Face, method: str) -> None:
    changes = {"face_group": "passport", "privacy_settings": {"taggable": "nobody"}}
    answer = data_of(owner.send(method, f"faces/{face.face_id}", changes))
    assert answer["face_group"] == "passport"
    assert answer["privacy_settings"] == {"searchable": True, "taggable": "nobody"}
    assert answer["metadata"] == {"note": "first"}
    assert answer == data_of(owner.get(f"faces/{face.face_id}"))
    event = AuditEvent.objects.get()
    assert (event.action, event.face_id) == ("face.change", face.face_id)
    assert event.details == {"fields": ["face_group", "taggable"]}


def test_a_change_leaves_the_template_alone(owner: Person, face: Face) -> None:
    before = Template.objects.values().get()
    owner.put(f"faces/{face.face_id}", privacy_settings={"searchable": False})
    assert Template.objects.values().get() == before


def test_deleting_removes_all_but_the_audit_row(owner: Person, face: Face) -> None:
    answer = data_of(owner.delete(f"faces/{face.face_id}"))
    assert answer == {"face_id": face.face_id, "deleted": True}
    assert row_counts() == {"User": 1, "AuditEvent": 1}
    event = AuditEvent.objects.get()
    assert (event.action, event.user_id, event.details) == ("face.delete", OWNER, {})
    assert refusal(owner.delete(f"faces/{face.face_id}")) == (404, "face_not_found")


def test_a_service_manages_anybodys(service: Person, face: Face) -> None:
    data_of(service.delete(f"faces/{face.face_id}"))
    assert AuditEvent.objects.get().actor == "service:app"


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_somebody_elses_looks_like_none(stranger: Person, face: Face, method: str) -> None:
    before = row_counts()
    theirs = stranger.send(method, f"faces/{face.face_id}", {})
    none = stranger.send(method, "faces/face_000000000000", {})
    assert refusal(theirs) == refusal(none) == (404, "face_not_found")
    assert theirs.json()["error"] == none.json()["error"]
    assert row_counts() == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("face_group", ""),
        ("face_group", "g" * 65),
        ("metadata", "text"),
        ("metadata", None),
        ("face_group", 7),
        ("privacy_settings", {"searchable": "perhaps"}),
        ("privacy_settings", {"searchable": "yes"}),
        ("privacy_settings", {"searchable": 1}),
        ("privacy_settings", {"searchable": None}),
        ("privacy_settings", {"taggable": "some"}),
        ("privacy_settings", []),
        ("privacy_settings", None),
    ],
)
def test_a_value_that_cannot_be(owner: Person, face: Face, field: str, value: object) -> None:
    answer = owner.put(f"faces/{face.face_id}", **{field: value})
    assert refusal(answer) == (400, "invalid_request")
    before = face.updated_at
    face.refresh_from_db()
    assert face.updated_at == before


@pytest.mark.parametrize(
    "changes", [{"quality_score": 1}, {"user": "x"}, {"privacy_settings": {"visible": True}}]
)
def test_an_unknown_field(owner: Person, face: Face, changes: dict[str, object]) -> None:
    assert refusal(owner.put(f"faces/{face.face_id}", **changes)) == (400, "unknown_field")


@pytest.mark.parametrize("face_id", ["face_%00", "%F0%9F%99%82", "x" * 500, "..%2F", "'"])
def test_a_strange_id(service: Person, face_id: str) -> None:
    assert service.get(f"faces/{face_id}").status_code == 404
