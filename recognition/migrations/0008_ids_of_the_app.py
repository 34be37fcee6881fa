"""User ids that are no UUIDs."""

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import migrations, models
from django.db.models.functions import Cast, Upper
from django.db.models.lookups import Exact, IsNull, Regex


class Migration(migrations.Migration):
    dependencies = [("recognition", "0007_faces_listed")]

    operations = [
        migrations.AddField(
            "User", "given_id", models.CharField(editable=False, max_length=128, null=True)
        ),
        migrations.AddField("MergedUser", "given_id", models.CharField(max_length=128, null=True)),
        migrations.AddConstraint(
            "User",
            models.CheckConstraint(
                condition=Exact(
                    Regex(Cast("id", models.TextField()), "^.{14}8.{4}[89ab]"),
                    IsNull(models.F("given_id"), False),
                ),
                name="user_has_its_id",
            ),
        ),
        migrations.AddIndex(
            "User",
            GinIndex(OpClass(Upper("given_id"), name="gin_trgm_ops"), name="user_by_part_of_id"),
        ),
    ]
