import uuid

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("recognition", "0005_idempotency"),
    ]

    operations = [
        migrations.CreateModel(
            name="Session",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "purpose",
                    models.CharField(
                        choices=[
                            ("login", "Login"),
                            ("video_call", "Video Call"),
                            ("other", "Other"),
                        ],
                        max_length=10,
                    ),
                ),
                ("level", models.CharField(max_length=8)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("verifying", "Verifying"),
                            ("verified", "Verified"),
                            ("lost", "Lost"),
                            ("mismatch", "Mismatch"),
                            ("ended", "Ended"),
                        ],
                        default="verifying",
                        max_length=9,
                    ),
                ),
                ("client", models.CharField(max_length=110)),
                ("device", models.CharField(blank=True, max_length=32)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("expires_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(null=True)),
                ("verified_at", models.DateTimeField(null=True)),
                ("risk", models.JSONField(default=dict)),
                ("window", models.JSONField(default=list)),
                ("frames", models.PositiveIntegerField(default=0)),
                ("last_frame_at", models.DateTimeField(null=True)),
                ("last_sequence", models.BigIntegerField(null=True)),
                ("last_captured_at", models.DateTimeField(null=True)),
                ("next_frame_at", models.DateTimeField(null=True)),
                ("checks", models.JSONField(default=dict)),
                ("checked_at", models.DateTimeField(null=True)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="verification_sessions",
                        to="recognition.user",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Attempt",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("source", models.CharField(max_length=110)),
                ("device", models.CharField(blank=True, max_length=32)),
                ("at", models.DateTimeField(auto_now_add=True)),
                ("result", models.CharField(max_length=20)),
                ("is_failure", models.BooleanField(default=False)),
                ("confidence", models.FloatField(null=True)),
                ("risk_level", models.CharField(max_length=6)),
                ("factors", models.JSONField(default=list)),
                ("antispoofing", models.JSONField(default=dict)),
                ("deepfake", models.JSONField(default=dict)),
                ("picture_hash", models.CharField(max_length=64)),
                ("pixels_hash", models.CharField(blank=True, max_length=64)),
                (
                    "face",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to="recognition.face",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="attempts",
                        to="recognition.user",
                    ),
                ),
                (
                    "session",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="attempts",
                        to="recognition.session",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="FailureCount",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("source", models.CharField(max_length=320)),
                ("failures", models.PositiveIntegerField()),
                ("parts", models.PositiveSmallIntegerField(default=0)),
                ("blocked_until", models.DateTimeField(null=True)),
                ("locked_at", models.DateTimeField(null=True)),
                ("last_failure_at", models.DateTimeField()),
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="failure_counts",
                        to="recognition.user",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("user", "source"), name="failurecount_once")
                ],
            },
        ),
        migrations.AddIndex(
            model_name="session",
            index=models.Index(fields=["expires_at"], name="session_expiry"),
        ),
        migrations.AddConstraint(
            model_name="session",
            constraint=models.CheckConstraint(
                condition=models.Q(("purpose__in", ["login", "video_call", "other"])),
                name="session_purpose_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="session",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("state__in", ["verifying", "verified", "lost", "mismatch", "ended"])
                ),
                name="session_state_known",
            ),
        ),
        migrations.AddIndex(
            model_name="attempt",
            index=models.Index(fields=["user", "at"], name="attempt_of_user"),
        ),
        migrations.AddIndex(
            model_name="attempt",
            index=models.Index(fields=["device", "at"], name="attempt_from_device"),
        ),
        migrations.AddIndex(
            model_name="attempt",
            index=models.Index(fields=["at"], name="attempt_age"),
        ),
    ]
