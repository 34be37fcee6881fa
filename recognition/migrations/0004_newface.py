"""Faces whose look-alikes a worker has not searched yet."""

from django.db import migrations, models
from django.db.models import CASCADE


class Migration(migrations.Migration):
    dependencies = [("recognition", "0003_measurement")]

    operations = [
        migrations.CreateModel(
            "NewFace",
            [
                (
                    "face",
                    models.OneToOneField(
                        "recognition.face",
                        CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                    ),
                )
            ],
        )
    ]
