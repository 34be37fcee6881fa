"""GET /models."""

import pytest
from pytest_django import Settings

from recognition.models import ActiveModel
from recognition.packs import engine
from tests.support.builders import OWNER, Person, data_of, refusal, user_token

pytestmark = pytest.mark.django_db


def test_it_works(owner: Person) -> None:
    models = {model["name"]: model for model in data_of(owner.get("models"))["models"]}
    names = {"antelopev2", "buffalo_l", "buffalo_sc", "dlib", "opencv", "permissive"}
    assert names <= set(models)
    dlib = models["dlib"]
    smallest = {each["width"]: each["pixels"] for each in dlib.pop("smallest_face")}
    assert smallest.keys() == {640, 1920, 4000, 6000}
    assert smallest[640] == 72 and smallest[4000] <= 100
    points = dlib.pop("calibration")["operating_points"]
    assert dlib == {
        "name": "dlib",
        "description": "dlib's ResNet embedder (128-d), CNN face detector and 5-point landmarks",
        "licence": "CC0-1.0",
        "embedding_version": "dlib_v1",
        "model_version": "dlib_v1.0.0",
        "active": True,
        "reason": "FACESVC_PACK names it.",
        "prepared": True,
        "calibrated": True,
    }
    assert [model["name"] for model in models.values() if model["active"]] == ["dlib"]
    at_one_in_a_thousand = next(p for p in points if p["false_match_rate"] == 0.001)
    assert at_one_in_a_thousand["confidence_score"] == 0.8
    assert at_one_in_a_thousand["extrapolated"] is False
    assert points[-1]["extrapolated"] is True
    assert [p["similarity_score"] for p in points] == sorted(p["similarity_score"] for p in points)


def test_a_pack_that_cannot_serve(owner: Person) -> None:
    models = {model["name"]: model for model in data_of(owner.get("models"))["models"]}
    assert models["antelopev2"]["calibrated"] is False
    provisional = models["antelopev2"]["calibration"]["provisional"]
    assert provisional["based_on"].startswith("A stand-in") and provisional["factor"] == [0.2, 5]
    assert models["antelopev2"]["prepared"] is False
    assert models["antelopev2"]["licence"] == "non-commercial research"


def test_the_smallest_face_follows_from_the_pack_and_the_setting(
    owner: Person, settings: Settings
) -> None:
    def smallest(name: str) -> dict[int, int]:
        models = {model["name"]: model for model in data_of(owner.get("models"))["models"]}
        return {each["width"]: each["pixels"] for each in models[name]["smallest_face"]}

    assert smallest("permissive") == {640: 20, 1920: 40, 4000: 40, 6000: 40}
    settings.FACESVC_SMALLEST_FACE = 50
    assert smallest("permissive") == {640: 20, 1920: 50, 4000: 50, 6000: 50}
    settings.FACESVC_SMALLEST_FACE = 1000
    assert smallest("permissive") == {640: 20, 1920: 60, 4000: 125, 6000: 188}


def test_the_active_pack_is_that_of_the_database(owner: Person) -> None:
    ActiveModel.objects.update_or_create(pk=1, defaults={"pack": "opencv"})
    models = data_of(owner.get("models"))["models"]
    assert [model["name"] for model in models if model["active"]] == ["opencv"]


def test_it_needs_a_scope(owner: Person) -> None:
    person = Person(user_token(OWNER, ["face:identify"]), owner.client)
    assert refusal(person.get("models")) == (403, "insufficient_scope")


def test_a_broken_pack_does_no_harm(
    owner: Person, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("packs")
    (folder / "broken").mkdir()
    (folder / "broken" / "pack.yaml").write_text("name: [")
    settings.PACK_FOLDERS = [*settings.PACK_FOLDERS, folder]
    names = [model["name"] for model in data_of(owner.get("models"))["models"]]
    assert "dlib" in names and "broken" not in names
    assert engine.pack("dlib").name == "dlib"
