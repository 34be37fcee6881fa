"""Faces that change their user, with all that is kept of them."""

from collections.abc import Iterable
from uuid import UUID

from django.db import connection

from recognition.models import Face

# A template never changes, and its listing neither changes its user: both are made again, by the
# triggers of recognition.migrations, and so are the sketches and the counts.
_TEMPLATES = """
WITH gone AS (
    DELETE FROM recognition_template WHERE face_id = ANY(%(faces)s)
    RETURNING face_id, embedding_version, model_version, embedding, created_at
)
INSERT INTO recognition_template
    (face_id, user_id, embedding_version, model_version, embedding, created_at)
SELECT face_id, %(user)s, embedding_version, model_version, embedding, created_at FROM gone
"""


def move(faces: Iterable[int], to: UUID) -> int:
    """Give faces, by their primary keys, to a user; how many. All users are locked."""
    keys = sorted(faces)
    moved = Face.objects.filter(pk__in=keys).update(user=to)
    with connection.cursor() as cursor:
        cursor.execute(_TEMPLATES, {"faces": keys, "user": to})
    return moved
