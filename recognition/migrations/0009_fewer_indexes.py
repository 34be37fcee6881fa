"""Fewer indexes, and smaller ones: an enrolment writes into each of them.

Each step is a transaction of its own, with a lock of one table. Together they would wait for a
search that waits for them, since it reads both tables. If a step is broken off, migrate again.
"""

from django.db import migrations, models

import recognition.models.people

# What a migration that was broken off has left.
_AGAIN = ["DROP INDEX IF EXISTS face_id_once", "DROP INDEX IF EXISTS listing_of_public"]


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("recognition", "0008_ids_of_the_app")]

    operations = [
        migrations.RunSQL(_AGAIN, migrations.RunSQL.noop),
        migrations.AddConstraint(
            "Face",
            models.UniqueConstraint(
                fields=["face_id"], name="face_id_once", opclasses=["varchar_pattern_ops"]
            ),
        ),
        migrations.AddIndex(
            "Listing",
            models.Index(
                fields=["user"],
                name="listing_of_public",
                condition=models.Q(privacy_level="public", searchable=True, suspended=False),
            ),
        ),
        migrations.RemoveIndex("Listing", "listing_by_privacy"),
        migrations.AlterField(
            "Face",
            "face_id",
            models.CharField(
                default=recognition.models.people.new_face_id, editable=False, max_length=17
            ),
        ),
    ]
