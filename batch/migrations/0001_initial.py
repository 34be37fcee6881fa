"""All tables: jobs with their items and pictures, and the callbacks that tell of their end."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import migrations, models
from django.db.models import CASCADE, Q

from batch.models import new_job_id, new_message_id

_STORAGE = """
-- Encrypted bytes do not compress; trying costs time.
ALTER TABLE batch_picture ALTER COLUMN sealed SET STORAGE EXTERNAL;
"""

_KINDS = ["identify", "register"]
_STATUSES = ["queued", "processing", "completed", "cancelled", "timed_out"]
_STATES = ["pending", "success", "error", "skipped"]
_DELIVERY_STATES = ["pending", "delivered", "dead", "stopped"]


def _number():
    return models.BigAutoField(
        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
    )


def _choice(values, max_length, **options):
    choices = [(value, value.replace("_", " ").title()) for value in values]
    return models.CharField(choices=choices, max_length=max_length, **options)


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            "Job",
            [
                ("id", _number()),
                (
                    "job_id",
                    models.CharField(
                        default=new_job_id, editable=False, max_length=20, unique=True
                    ),
                ),
                ("kind", _choice(_KINDS, 10)),
                ("status", _choice(_STATUSES, 10, default="queued")),
                ("subject", models.CharField(max_length=100)),
                ("user_id", models.UUIDField(null=True)),
                ("scopes", models.JSONField()),
                ("options", models.JSONField()),
                ("total", models.PositiveIntegerField()),
                ("callback_url", models.CharField(blank=True, max_length=2000)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("started_at", models.DateTimeField(null=True)),
                ("deadline_at", models.DateTimeField()),
                ("finished_at", models.DateTimeField(null=True)),
                ("picture_bytes", models.PositiveBigIntegerField(default=0)),
            ],
            {
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(status__in=("queued", "processing"), finished_at=None)
                        | Q(
                            status__in=("completed", "cancelled", "timed_out"),
                            finished_at__isnull=False,
                        ),
                        name="job_finished_once",
                    )
                ],
                "indexes": [
                    models.Index(fields=["subject", "-id"], name="job_of_subject"),
                    models.Index(
                        condition=Q(finished_at=None), fields=["subject", "id"], name="job_open"
                    ),
                    models.Index(fields=["finished_at"], name="job_finished"),
                ],
            },
        ),
        migrations.CreateModel(
            "Item",
            [
                ("id", _number()),
                ("image_id", models.CharField(max_length=200)),
                ("options", models.JSONField(default=dict)),
                ("state", _choice(_STATES, 7, default="pending")),
                ("result", models.JSONField(null=True)),
                ("user_ids", ArrayField(models.UUIDField(), default=list)),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("claimed_until", models.DateTimeField(null=True)),
                ("job", models.ForeignKey("batch.job", CASCADE, related_name="items")),
            ],
            {
                "constraints": [
                    models.UniqueConstraint(fields=["job", "image_id"], name="item_once_per_job"),
                    models.CheckConstraint(
                        condition=Q(state__in=("success", "error"), result__isnull=False)
                        | Q(state__in=("pending", "skipped"), result=None),
                        name="item_result_when_done",
                    ),
                ],
                "indexes": [
                    models.Index(condition=Q(state="pending"), fields=["id"], name="item_pending"),
                    models.Index(fields=["job", "state", "id"], name="item_of_job"),
                    GinIndex(fields=["user_ids"], name="item_names_user"),
                ],
            },
        ),
        migrations.CreateModel(
            "Picture",
            [
                ("id", _number()),
                ("sealed", models.BinaryField()),
                ("item", models.OneToOneField("batch.item", CASCADE, related_name="picture")),
            ],
        ),
        migrations.CreateModel(
            "WebhookEndpoint",
            [
                ("id", _number()),
                ("client", models.CharField(max_length=100)),
                ("url", models.CharField(max_length=2000)),
                ("disabled_at", models.DateTimeField(null=True)),
            ],
            {
                "verbose_name": "callback address",
                "verbose_name_plural": "callback addresses",
                "constraints": [
                    models.UniqueConstraint(
                        fields=["client", "url"], name="endpoint_once_per_client"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            "WebhookDelivery",
            [
                ("id", _number()),
                (
                    "message_id",
                    models.CharField(default=new_message_id, max_length=36, unique=True),
                ),
                ("body", models.TextField()),
                ("state", _choice(_DELIVERY_STATES, 9, default="pending", editable=False)),
                ("tries", models.PositiveSmallIntegerField(default=0)),
                ("next_attempt_at", models.DateTimeField(null=True)),
                ("busy_until", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("job", models.OneToOneField("batch.job", CASCADE, related_name="delivery")),
                ("endpoint", models.ForeignKey("batch.webhookendpoint", CASCADE)),
            ],
            {
                "verbose_name": "callback",
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(state="pending", next_attempt_at__isnull=False)
                        | (~Q(state="pending") & Q(next_attempt_at=None)),
                        name="delivery_due_while_pending",
                    )
                ],
                "indexes": [
                    models.Index(
                        condition=Q(state="pending"),
                        fields=["next_attempt_at"],
                        name="delivery_due",
                    ),
                    models.Index(
                        condition=Q(state="dead"), fields=["id"], name="delivery_given_up"
                    ),
                    models.Index(
                        condition=Q(busy_until__isnull=False),
                        fields=["endpoint", "busy_until"],
                        name="delivery_busy",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            "WebhookAttempt",
            [
                ("id", _number()),
                ("at", models.DateTimeField(auto_now_add=True)),
                ("status", models.PositiveSmallIntegerField(null=True)),
                ("error", models.CharField(blank=True, max_length=200)),
                ("duration_ms", models.PositiveIntegerField()),
                (
                    "delivery",
                    models.ForeignKey("batch.webhookdelivery", CASCADE, related_name="attempts"),
                ),
            ],
        ),
        migrations.CreateModel(
            "WebhookSecret",
            [
                ("id", _number()),
                ("client", models.CharField(max_length=100)),
                ("sealed", models.BinaryField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("retires_at", models.DateTimeField(null=True)),
            ],
            {
                "constraints": [
                    models.UniqueConstraint(
                        condition=Q(retires_at=None), fields=["client"], name="secret_one_current"
                    )
                ],
            },
        ),
        migrations.RunSQL(_STORAGE, migrations.RunSQL.noop),
    ]
