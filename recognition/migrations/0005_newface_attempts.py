"""How often the look-alikes of a new face were searched, and when they may be again."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("recognition", "0004_newface")]

    operations = [
        migrations.AddField("newface", "attempts", models.PositiveSmallIntegerField(default=0)),
        migrations.AddField("newface", "next_attempt_at", models.DateTimeField(null=True)),
    ]
