"""Why a database began with its model pack."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("recognition", "0001_initial")]

    operations = [
        migrations.AddField("activemodel", "reason", models.TextField(blank=True, db_default=""))
    ]
