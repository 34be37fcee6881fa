"""The page of the active model."""

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from tests.facesvc.operators.test_measuring_pages import as_one_of, text_of
from tests.support.builders import OWNER, build_index, make_face, make_user, vector

pytestmark = pytest.mark.django_db


def test_the_hnsw_index(client: Client, settings: Settings) -> None:
    viewer = as_one_of(client, "viewer", settings)

    def text() -> str:
        answer = viewer.get(reverse("admin:recognition_activemodel_changelist"))
        assert answer.status_code == 200
        return text_of(answer)

    make_face(make_user(OWNER), vector(1))
    assert "there is no HNSW index, which only a larger gallery needs." in text()
    settings.FACESVC_HNSW_FROM = 1
    assert "there is no HNSW index yet: a worker will build it." in text()
    build_index()
    assert "there is an HNSW index." in text()
