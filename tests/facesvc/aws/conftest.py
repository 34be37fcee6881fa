from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from facesvc.aws import keys
from facesvc.aws.keys import Key
from tests.facesvc.aws.clients import ALL_SCOPES, KEY_ID, key_with, rekognition


@pytest.fixture
def key(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Key:
    """The one access key, of the service `shop`."""
    settings.FACESVC_AWS = True
    made = key_with(ALL_SCOPES)
    monkeypatch.setattr(keys, "find", {KEY_ID: made}.get)
    return made


@pytest.fixture
def aws(key: Key, client: Client) -> Any:
    return rekognition(client)
