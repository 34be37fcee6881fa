"""Fewer indexes, and smaller ones: an enrolment writes into each of them."""

from django.db import migrations, models

import recognition.models.people


class Migration(migrations.Migration):
    dependencies = [("recognition", "0008_ids_of_the_app")]

    operations = [
        migrations.AddConstraint(
            "Face",
            models.UniqueConstraint(
                fields=["face_id"], name="face_id_once", opclasses=["varchar_pattern_ops"]
            ),
        ),
        migrations.AlterField(
            "Face",
            "face_id",
            models.CharField(
                default=recognition.models.people.new_face_id, editable=False, max_length=17
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
    ]
