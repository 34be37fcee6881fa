"""The people that the moderators' pages are tested with, and an operator who logs in."""

from uuid import UUID

import cv2
from cryptography.fernet import Fernet
from django.contrib.auth.models import Group as OperatorGroup
from django.contrib.auth.models import User as Account
from django.test import override_settings
from pytest_django import Settings

from recognition.inference.arrays import Image
from recognition.models import Group, Membership, User
from tests.browser.driving import DESKTOP, PHONE, Browser
from tests.support.builders import befriend, enrol_face
from tests.support.photos import astronaut, jpeg, resized, six_people, tom_hanks

PASSWORD = "correct horse battery staple"
COLLINS = UUID("0c0111e5-0000-4000-8000-000000000001")
HANKS = UUID("0a4a4b5e-0000-4000-8000-000000000002")
GUEST = UUID("09e57000-0000-4000-8000-000000000003")
# In the documentation also in the dark and on a phone.
_SHOWN_OTHERWISE = ("admin-person", "admin-faces", "admin-overview")


def set_up(settings: Settings) -> None:
    """Cookies over http, and kept pictures."""
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = False
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    settings.STORE_FACE_CROPS = True


def brighter(image: Image) -> Image:
    """Another photo of the same person, as far as a duplicate check can tell."""
    turned = cv2.warpAffine(
        image,
        cv2.getRotationMatrix2D((image.shape[1] / 2, image.shape[0] / 2), 6, 0.95),
        image.shape[1::-1],
        borderMode=cv2.BORDER_REPLICATE,
    )
    return cv2.convertScaleAbs(turned, alpha=1.15, beta=8).astype(image.dtype)


def enrol(user_id: UUID, image: Image, *, keeps_picture: bool = True, **options: object) -> str:
    """The id of the face. Screenshots show kept pictures: only of photos that anybody may publish,
    which are those of NASA."""
    with override_settings(STORE_FACE_CROPS=keeps_picture):
        found = enrol_face(user_id, jpeg(image), **options)  # type: ignore[arg-type]
    return found.face_id


def make_people() -> None:
    """An astronaut, an actor, and a guest with the face of somebody at a party."""
    people = {COLLINS: ("Eileen Collins", "public"), HANKS: ("Tom Hanks", "friends")}
    people[GUEST] = ("A party guest", "private")
    for user_id, (name, privacy) in people.items():
        User.objects.create(pk=user_id, display_name=name, privacy_level=privacy)
    enrol(COLLINS, astronaut())
    enrol(HANKS, resized(tom_hanks(), 3), check_quality=False, keeps_picture=False)
    enrol(GUEST, six_people(), face_index=0, check_quality=False, keeps_picture=False)
    befriend(User.objects.get(pk=COLLINS), User.objects.get(pk=HANKS))
    group = Group.objects.create(name="hiking")
    Membership.objects.create(group=group, user_id=COLLINS)


def log_in(browser: Browser, group: str) -> Account:
    """By the form, as an operator in one of the ready groups, who is no superuser."""
    account = Account.objects.create_user(
        f"operator{Account.objects.count()}", password=PASSWORD, is_staff=True
    )
    account.groups.add(OperatorGroup.objects.get(name=group))
    browser.open("/admin/login/?next=/admin/recognition/user/")
    browser.type("#id_username", account.username)
    browser.type("#id_password", PASSWORD)
    browser.click("[type=submit]")
    browser.find("#user-tools")
    return account


def check(browser: Browser, path: str, name: str) -> None:
    """A page in the light and in the dark, on a desk and on a phone; and its pictures."""
    for theme in ("light", "dark"):
        browser.resize(*DESKTOP)
        browser.theme(theme)
        browser.open(path)
        wait_for_pictures(browser)
        found = browser.axe()
        assert not found, (path, theme, found)
        if theme == "light" or name in _SHOWN_OTHERWISE:
            browser.screenshot(name if theme == "light" else f"{name}-dark")
    browser.theme("light")
    browser.resize(*PHONE)
    browser.open(path)
    wait_for_pictures(browser)
    assert browser.overflow() <= 0, path
    if name in _SHOWN_OTHERWISE:
        browser.screenshot(f"{name}-phone")
    browser.resize(*DESKTOP)


def wait_for_pictures(browser: Browser) -> None:
    browser.run("for (const it of document.images) it.loading = 'eager'")
    done = "return [...document.images].every((it) => it.complete && it.naturalWidth)"
    browser.wait(lambda: browser.run(done))
