"""Log in by face in a Django app: docs/integration/django.md."""

from collections.abc import Callable

import pytest
from django.test import Client

from recognition.models import Face, Session, User
from tests.integration.conftest import App, photo
from tests.integration.django_project import PEOPLE, by_password, enrol, posted, served
from tests.support.builders import FakePipeline, face_of, vector

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
DELETE = 'from django.contrib.auth.models import User; User.objects.get(username="ann").delete()'


@pytest.fixture
def app(start: Callable[[str], App], fake: FakePipeline) -> App:
    return served(start("django"), fake)


def test_it_works(app: App, fake: FakePipeline) -> None:
    """Enrol, log in by face, tag, withdraw the consent, delete the account."""
    ann = enrol(app, fake, "ann")
    face = Face.objects.get()
    assert face.user.given_id == "1" and face.metadata["consent"]["text_version"] == "2026-11"
    fake.show(vector(1))
    answer = posted(app.visit(), "/login/face/", photo(10), username="ann")
    assert answer.text == "Hello, ann."
    assert Session.objects.get().purpose == "login"
    enrol(app, fake, "ben")
    fake.show([vector(2), vector(9)])
    known, unknown = posted(ann, "/faces/tag/", photo(11)).json()["faces"]
    assert (known["names"], unknown["names"]) == (["ben"], [])
    assert posted(ann, "/faces/forget/", None).text == "Hello, ann."
    assert [each.user.given_id for each in Face.objects.all()] == ["2"]
    app.run("python", "manage.py", "shell", "--no-imports", "-c", DELETE)
    assert [each.given_id for each in User.objects.all()] == ["2"]


def test_who_enrols_again_stays_as_private_as_they_are(app: App, fake: FakePipeline) -> None:
    enrol(app, fake, "ann")
    User.objects.update(privacy_level="private")
    ann = by_password(app, "ann")
    assert posted(ann, "/faces/enrol/", photo(9), consent="on").text == "Hello, ann."
    assert User.objects.get().privacy_level == "private"


def test_a_file_that_is_no_picture_of_a_face_is_not_read(app: App, fake: FakePipeline) -> None:
    """Strangers send files of any size to a login; the app says the same as without one."""
    enrol(app, fake, "ann")
    answer = posted(app.visit(), "/login/face/", photo(9) + bytes(10_000_000), username="ann")
    assert "That did not work." in answer.text and "image_too_large" not in app.log


def test_another_face_and_another_name_get_the_same_answer(app: App, fake: FakePipeline) -> None:
    enrol(app, fake, "ann")
    fake.show(vector(2))
    texts = []
    for at, name in enumerate(("ann", "ben", "nobody")):
        answer = posted(app.visit(), "/login/face/", photo(20 + at), username=name)
        texts.append(answer.text.partition("<label>")[0].partition("csrf")[0])
        assert "That did not work." in answer.text
    assert len(set(texts)) == 1


def test_the_enrolled_picture_logs_nobody_in(app: App, fake: FakePipeline) -> None:
    enrol(app, fake, "ann")
    fake.show(vector(1))
    answer = posted(app.visit(), "/login/face/", photo(PEOPLE["ann"]), username="ann")
    assert "That did not work." in answer.text and "replayed" not in answer.text
    (line,) = [line for line in app.log.splitlines() if "no login of 1: rejected" in line]
    assert "'replayed_picture'" in line


def test_a_picture_without_a_face_is_explained(app: App, fake: FakePipeline) -> None:
    fake.show([])
    ann = by_password(app, "ann")
    assert "Please agree first." in posted(ann, "/faces/enrol/", photo(1)).text
    answer = posted(ann, "/faces/enrol/", photo(1), consent="on")
    assert "No face" in answer.text.partition("</p>")[0] and not Face.objects.exists()
    fake.show(face_of(vector(1), quality=0.2))
    said = posted(ann, "/faces/enrol/", photo(1), consent="on").text.partition("</p>")[0]
    assert "Come closer." in said and "[" not in said  # a sentence, and no list
    fake.show([vector(1), vector(2)])
    said = posted(ann, "/faces/enrol/", photo(1), consent="on").text.partition("</p>")[0]
    assert "Take one of you alone." in said and "face_index" not in said


def test_without_the_service_passwords_go_on(app: App, client: Client) -> None:
    app.environment["FACES_URL"] = "http://127.0.0.1:9"
    app.serve("python", "manage.py", "runserver", "--noreload", "{port}")
    answer = posted(app.visit(), "/login/face/", photo(1), username="ann")
    assert answer.status_code == 200 and "That did not work." in answer.text
    ann = by_password(app, "ann")
    assert "try again later" in posted(ann, "/faces/enrol/", photo(1), consent="on").text
    assert "the service did not do it: no answer from 127.0.0.1:9" in app.log


def test_a_mistake_of_the_app_is_logged_and_shown_to_nobody(app: App) -> None:
    app.environment["FACES_JWT_SECRET"] = "the-secret-of-another-service-and-long"
    app.serve("python", "manage.py", "runserver", "--noreload", "{port}")
    ann = by_password(app, "ann")
    said = posted(ann, "/faces/enrol/", photo(1), consent="on").text.partition("</p>")[0]
    assert "try again later" in said and "token" not in said.partition("alert")[2]
    tagged = posted(ann, "/faces/tag/", photo(1))
    assert (tagged.status_code, tagged.json()) == (503, {"problem": "Please try again later."})
    assert app.log.count("invalid_token") == 2
