"""Smaller indexes by user, and one less: an enrolment writes into each of them.

Each step is a transaction of its own, with a lock of one table. Together they would wait for a
search that waits for them, since it reads both tables. If a step is broken off, migrate again.
"""

from django.contrib.postgres.indexes import GinIndex, HashIndex, OpClass
from django.db import migrations, models
from django.db.models.functions import Upper

# What a migration that was broken off has left.
_AGAIN = [
    f"DROP INDEX IF EXISTS {name}"
    for name in ("face_of_user", "template_of_user", "user_by_part_of_given_id")
]


def _hash(model: str, name: str) -> migrations.AddIndex:
    return migrations.AddIndex(model, HashIndex(fields=["user"], fillfactor=30, name=name))


def _drop(name: str, table: str, column: str) -> migrations.RunSQL:
    """AlterField would make the foreign key again, and check all rows, with two tables locked."""
    return migrations.RunSQL(
        f"DROP INDEX IF EXISTS {name}", f"CREATE INDEX {name} ON {table} ({column})"
    )


def _without_index(model: str, field: str, to: str, name: str) -> migrations.AlterField:
    key = models.ForeignKey(to, models.CASCADE, db_index=False, related_name=name)
    return migrations.AlterField(model, field, key)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("recognition", "0009_fewer_indexes")]

    operations = [
        migrations.RunSQL(_AGAIN, migrations.RunSQL.noop),
        _hash("Face", "face_of_user"),
        _hash("Template", "template_of_user"),
        migrations.AddIndex(
            "User",
            GinIndex(
                OpClass(Upper("given_id"), name="gin_trgm_ops"),
                condition=models.Q(given_id__isnull=False),
                name="user_by_part_of_given_id",
            ),
        ),
        migrations.RemoveIndex("User", "user_by_part_of_id"),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                _drop("recognition_face_user_id_c9ba6056", "recognition_face", "user_id"),
                _drop("recognition_template_user_id_ae5a59e1", "recognition_template", "user_id"),
                _drop("recognition_template_face_id_fb9be2f7", "recognition_template", "face_id"),
            ],
            state_operations=[
                _without_index("Face", "user", "recognition.user", "faces"),
                _without_index("Template", "user", "recognition.user", "templates"),
                _without_index("Template", "face", "recognition.face", "templates"),
            ],
        ),
    ]
