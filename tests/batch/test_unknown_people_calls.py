"""POST /batch-identify with `group_unknown`, and GET /batch-jobs/{id}/unknown-people."""

from typing import Any

import pytest
from cryptography.fernet import Fernet
from pytest_django import Settings

from batch.jobs import work
from batch.models import Job
from tests.support.builders import (
    OWNER,
    PICTURE_BASE64,
    FakePipeline,
    Person,
    data_of,
    details_of,
    make_face,
    make_user,
    near,
    refusal,
    vector,
)

pytestmark = pytest.mark.django_db
GROUPED = {"async": True, "group_unknown": True}


@pytest.fixture(autouse=True)
def prepared(settings: Settings, fake: FakePipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    monkeypatch.setattr(work, "_SLICE", 60.0)  # however busy the machine is
    make_face(make_user(OWNER, "public"), vector(1))
    fake.show([vector(1), vector(2)], [vector(3)], [near(vector(3), 0.97)])


def body(options: Any, count: int = 3) -> dict[str, Any]:
    pictures = [{"image_id": f"photo {n}", "image": PICTURE_BASE64} for n in range(count)]
    return {"images": pictures, "processing_options": options}


def test_it_works(service: Person) -> None:
    job = data_of(service.post("batch-identify", **body(GROUPED)), 202)
    assert job["unknown_people"] is None
    path = f"batch-jobs/{job['job_id']}"
    assert data_of(service.get(f"{path}/unknown-people"))["unknown_people"] == []
    work.work()
    assert data_of(service.get(path))["unknown_people"] == 2
    ours = job["job_id"].replace("job", "unknown")
    answer = data_of(service.get(f"{path}/unknown-people"))
    assert answer == {
        "unknown_people": [
            {
                **{"unknown_id": f"{ours}_1", "pictures": 2},
                **{"best_image_id": "photo 1", "best_face_index": 0},
            },
            {
                **{"unknown_id": f"{ours}_2", "pictures": 1},
                **{"best_image_id": "photo 0", "best_face_index": 1},
            },
        ],
        "next_cursor": None,
    }
    results = data_of(service.get(f"{path}/results"))["results"]
    ids = [[face.get("unknown_id") for face in each["result"]["faces"]] for each in results]
    assert ids == [[None, f"{ours}_2"], [f"{ours}_1"], [f"{ours}_1"]]


def test_pages(service: Person) -> None:
    path = f"batch-jobs/{data_of(service.post('batch-identify', **body(GROUPED)), 202)['job_id']}"
    work.work()
    first = data_of(service.get(f"{path}/unknown-people", page_size=1))
    rest = data_of(service.get(f"{path}/unknown-people", cursor=first["next_cursor"]))
    counts = [each["pictures"] for page in (first, rest) for each in page["unknown_people"]]
    assert counts == [2, 1] and rest["next_cursor"] is None


def test_only_as_a_job(service: Person) -> None:
    response = service.post("batch-identify", **body({"group_unknown": True}))
    assert refusal(response) == (400, "invalid_request")
    assert "group_unknown" in str(details_of(response))
    assert not Job.objects.exists()


def test_not_where_faces_are_enrolled(service: Person) -> None:
    pictures = [{"image_id": "a", "image": PICTURE_BASE64, "user_id": str(OWNER)}]
    response = service.post("batch-register", images=pictures, processing_options=GROUPED)
    assert refusal(response) == (400, "unknown_field")


def test_off_by_default(service: Person) -> None:
    job = data_of(service.post("batch-identify", **body({"async": True})), 202)
    work.work()
    assert data_of(service.get(f"batch-jobs/{job['job_id']}"))["unknown_people"] is None
    results = data_of(service.get(f"batch-jobs/{job['job_id']}/results"))["results"]
    assert not [
        face for each in results for face in each["result"]["faces"] if "unknown_id" in face
    ]
