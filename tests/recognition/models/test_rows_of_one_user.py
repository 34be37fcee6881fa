"""A row belongs to one user, so that each user's rows can live on one of several databases.

docs/decisions/0018-shards.md says why.
"""

from django.apps import apps
from django.db.models import Model

from recognition.models import Face, Friendship, PossibleDuplicate, User

APPS = ("recognition", "management", "batch")
# Both would live on the database that all users share.
OF_TWO_PEOPLE = {Friendship, PossibleDuplicate}


def people(model: type[Model], one: type[Model]) -> list[str]:
    """The foreign keys of a model to users, or to faces."""
    return [field.name for field in model._meta.fields if field.related_model is one]


def test_no_other_row_is_about_two_people() -> None:
    models = [model for model in apps.get_models() if model._meta.app_label in APPS]
    assert User in models and Face in models
    of_two = {m for m in models if any(len(people(m, one)) > 1 for one in (User, Face))}
    assert of_two == OF_TWO_PEOPLE, "docs/decisions/0018-shards.md allows these two alone"


def test_a_row_of_two_people_is_found() -> None:
    assert people(Friendship, User) == ["user", "friend"]
    assert people(PossibleDuplicate, Face) == ["face_a", "face_b"]
    assert people(PossibleDuplicate, User) == ["user_a", "user_b"]
