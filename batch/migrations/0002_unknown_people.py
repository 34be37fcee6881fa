"""The faces of nobody of a job, and the people that they are of.

Each step is a transaction of its own, with a lock of one table. Together they would wait for a
worker that waits for them, since it uses both tables. If a step is broken off, migrate again.
"""

import django.db.models.deletion
from django.db import migrations, models

_STORAGE = """
-- Encrypted bytes do not compress; trying costs time.
ALTER TABLE batch_unknownfaces ALTER COLUMN sealed SET STORAGE EXTERNAL;
"""
# What a migration that was broken off has left.
_AGAIN = [
    "DROP TABLE IF EXISTS batch_unknownperson",
    "DROP TABLE IF EXISTS batch_unknownfaces",
    "ALTER TABLE batch_job DROP COLUMN IF EXISTS unknown_people",
]


class Migration(migrations.Migration):
    atomic = False
    dependencies = [
        ("batch", "0001_initial"),
    ]

    operations = [
        migrations.RunSQL(_AGAIN, migrations.RunSQL.noop),
        migrations.AddField(
            model_name="job",
            name="unknown_people",
            field=models.PositiveIntegerField(null=True),
        ),
        migrations.CreateModel(
            name="UnknownFaces",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("embedding_version", models.CharField(max_length=60)),
                ("sealed", models.BinaryField()),
                (
                    "item",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="unknown_faces",
                        to="batch.item",
                    ),
                ),
            ],
            options={"verbose_name": "unknown faces", "verbose_name_plural": "unknown faces"},
        ),
        migrations.CreateModel(
            name="UnknownPerson",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("unknown_id", models.CharField(max_length=40)),
                ("pictures", models.PositiveIntegerField()),
                ("best_face_index", models.PositiveIntegerField()),
                (
                    "best_item",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="batch.item"),
                ),
                (
                    "job",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="batch.job"
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "unknown people",
                "indexes": [models.Index(fields=["job", "id"], name="unknown_of_job")],
            },
        ),
        migrations.RunSQL(_STORAGE, migrations.RunSQL.noop),
    ]
