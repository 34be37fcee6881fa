import django.contrib.postgres.indexes
import django.db.models.functions.text
from django.contrib.postgres.operations import TrigramExtension
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("recognition", "0009_listing_by_user"),
    ]

    operations = [
        # Comes with PostgreSQL itself, and whoever owns the database may create it.
        TrigramExtension(),
        migrations.AlterModelOptions(
            name="user",
            options={
                "permissions": [
                    ("view_pictures", "Can see pictures of faces and find people by a photo"),
                    ("moderate_user", "Can suspend, unlock, move, merge and decide duplicates"),
                    ("erase_user", "Can erase people"),
                ],
                "verbose_name": "person",
                "verbose_name_plural": "people",
            },
        ),
        migrations.AddIndex(
            model_name="face",
            index=models.Index(
                condition=models.Q(("suspended_at__isnull", False)),
                fields=["-id"],
                name="face_suspended",
            ),
        ),
        migrations.AddIndex(
            model_name="failurecount",
            index=models.Index(
                condition=models.Q(("locked_at__isnull", False)),
                fields=["user"],
                name="failurecount_locked",
            ),
        ),
        migrations.AddIndex(
            model_name="user",
            index=models.Index(fields=["-created_at", "-id"], name="user_newest"),
        ),
        migrations.AddIndex(
            model_name="user",
            index=models.Index(
                condition=models.Q(("suspended_at__isnull", False)),
                fields=["-created_at", "-id"],
                name="user_suspended",
            ),
        ),
        migrations.AddIndex(
            model_name="user",
            index=django.contrib.postgres.indexes.GinIndex(
                django.contrib.postgres.indexes.OpClass(
                    django.db.models.functions.text.Upper("display_name"), name="gin_trgm_ops"
                ),
                name="user_by_part_of_name",
            ),
        ),
    ]
