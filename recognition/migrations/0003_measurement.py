"""What a pack's scores mean for the people who are enrolled."""

from django.db import migrations, models
from django.db.models import SET_NULL, Q


class Migration(migrations.Migration):
    dependencies = [("recognition", "0002_reason_of_the_first_pack")]

    operations = [
        migrations.CreateModel(
            "Measurement",
            [
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("pack", models.CharField(max_length=40)),
                ("embedding_version", models.CharField(max_length=60)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("running", "Running"),
                            ("measured", "Measured"),
                            ("failed", "Failed"),
                            ("cancelled", "Cancelled"),
                        ],
                        default="waiting",
                        max_length=9,
                    ),
                ),
                ("asked_by", models.CharField(max_length=110)),
                ("asked_at", models.DateTimeField(auto_now_add=True)),
                ("starts", models.PositiveSmallIntegerField(default=0)),
                ("faces", models.PositiveIntegerField(default=0)),
                ("seen", models.PositiveIntegerField(default=0)),
                ("began_at", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField(null=True)),
                ("problem", models.TextField(blank=True)),
                ("calibration", models.JSONField(null=True)),
                ("report", models.JSONField(null=True)),
                ("in_use", models.BooleanField(default=False)),
            ],
            {
                "permissions": [
                    (
                        "measure_model",
                        "Can measure a model on the people enrolled, and use what was found",
                    )
                ],
                "default_permissions": (),
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(state__in=("waiting", "running"), ended_at=None)
                        | Q(
                            state__in=("measured", "failed", "cancelled"),
                            ended_at__isnull=False,
                        ),
                        name="measurement_ended_once",
                    ),
                    models.CheckConstraint(
                        condition=Q(
                            state="measured", calibration__isnull=False, report__isnull=False
                        )
                        | ~Q(state="measured") & Q(calibration=None, report=None, in_use=False),
                        name="measurement_found_when_measured",
                    ),
                    models.UniqueConstraint(
                        fields=["pack"], condition=Q(in_use=True), name="measurement_in_use_once"
                    ),
                ],
            },
        ),
        migrations.AddField(
            "ActiveModel",
            "measurement",
            models.ForeignKey("recognition.measurement", SET_NULL, related_name="+", null=True),
        ),
    ]
