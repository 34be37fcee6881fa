import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("recognition", "0008_audit")]

    operations = [
        migrations.AddIndex(
            model_name="listing",
            index=models.Index(
                fields=["user"],
                include=(
                    "embedding_version",
                    "privacy_level",
                    "suspended",
                    "searchable",
                    "taggable",
                ),
                name="listing_by_user",
            ),
        ),
        migrations.AlterField(
            model_name="listing",
            name="user",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="listings",
                to="recognition.user",
            ),
        ),
    ]
