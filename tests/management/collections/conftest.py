"""A key, without which there is no second collection."""

import pytest
from cryptography.fernet import Fernet
from pytest_django import Settings


@pytest.fixture(autouse=True)
def template_key(settings: Settings) -> None:
    settings.FACESVC_TEMPLATE_KEYS = (Fernet.generate_key().decode(),)
