"""What visitors do in the Django project of the examples."""

import httpx

from tests.integration.conftest import App, photo
from tests.support.builders import FakePipeline, vector

PASSWORD = "a password of words"
MAKE = f"""
from django.contrib.auth.models import User
for name in ("ann", "ben", "cleo"):
    User.objects.create_user(name, password={PASSWORD!r})
User.objects.create_user("door", password={PASSWORD!r}, is_staff=True)
"""
PEOPLE = {"ann": 1, "ben": 2, "cleo": 3}


def served(app: App, fake: FakePipeline) -> App:
    """The project with its users, who log in by password as ever."""
    app.run("python", "manage.py", "migrate", "--run-syncdb")
    app.run("python", "manage.py", "shell", "--no-imports", "-c", MAKE)
    app.serve("python", "manage.py", "runserver", "--noreload", "{port}")
    fake.varies = True  # or a login would be a replay of the enrolled picture
    return app


def posted(visitor: httpx.Client, path: str, image: bytes | None, **fields: str) -> httpx.Response:
    visitor.get("/login/face/")  # sets the cookie
    token = visitor.cookies["csrftoken"]
    files = {"photo": ("photo.jpg", image, "image/jpeg")} if image else {"none": b""}
    headers = {"X-CSRFToken": token, "Referer": str(visitor.base_url)}
    return visitor.post(path, data=fields, files=files, headers=headers)


def by_password(app: App, name: str) -> httpx.Client:
    """A visitor who logged in as ever."""
    visitor = app.visit()
    answer = posted(visitor, "/login/", None, username=name, password=PASSWORD)
    assert answer.text == f"Hello, {name}."
    return visitor


def enrol(app: App, fake: FakePipeline, name: str) -> httpx.Client:
    fake.show(vector(PEOPLE[name]))
    visitor = by_password(app, name)
    answer = posted(visitor, "/faces/enrol/", photo(PEOPLE[name]), consent="on")
    assert answer.text == f"Hello, {name}."
    return visitor
