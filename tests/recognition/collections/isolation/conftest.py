"""Three collections with the keys that they need."""

import pytest
from cryptography.fernet import Fernet
from pytest_django import Settings

from management import collections
from recognition.collections.current import DEFAULT, Entered

NAMES = ("shop", "bank")


@pytest.fixture(autouse=True)
def keys(settings: Settings) -> None:
    settings.FACESVC_TEMPLATE_KEYS = (Fernet.generate_key().decode(),)
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]


@pytest.fixture
def places(keys: None, db: None) -> list[Entered]:
    return [DEFAULT, *(collections.make(name, actor="system").entered for name in NAMES)]
