import uuid

import django.db.models.deletion
import pgvector.django.halfvec
import pgvector.django.indexes
from django.db import migrations, models
from pgvector.django import VectorExtension

import recognition.models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        VectorExtension(),
        migrations.CreateModel(
            name="RateWindow",
            fields=[
                ("key", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("minute_start", models.DateTimeField()),
                ("minute_count", models.PositiveIntegerField()),
                ("hour_start", models.DateTimeField()),
                ("hour_count", models.PositiveIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="AuditEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField(auto_now_add=True)),
                ("actor", models.CharField(max_length=110)),
                ("action", models.CharField(max_length=40)),
                ("user_id", models.UUIDField(null=True)),
                ("face_id", models.CharField(blank=True, max_length=17)),
                ("details", models.JSONField(default=dict)),
            ],
            options={
                "indexes": [models.Index(fields=["user_id", "at"], name="audit_of_user")],
            },
        ),
        migrations.CreateModel(
            name="User",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("display_name", models.CharField(blank=True, max_length=200)),
                ("profile_image", models.CharField(blank=True, max_length=2000)),
                (
                    "privacy_level",
                    models.CharField(
                        choices=[
                            ("public", "Public"),
                            ("friends", "Friends"),
                            ("private", "Private"),
                        ],
                        default="friends",
                        max_length=10,
                    ),
                ),
                ("suspended_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("privacy_level__in", ["public", "friends", "private"])),
                        name="user_privacy_level_known",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Face",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "face_id",
                    models.CharField(
                        default=recognition.models.new_face_id,
                        editable=False,
                        max_length=17,
                        unique=True,
                    ),
                ),
                ("face_group", models.CharField(default="primary", max_length=64)),
                ("quality_score", models.FloatField()),
                ("quality_components", models.JSONField()),
                ("attributes", models.JSONField()),
                ("metadata", models.JSONField(blank=True, default=dict)),
                ("searchable", models.BooleanField(default=True)),
                (
                    "taggable",
                    models.CharField(
                        choices=[
                            ("everyone", "Everyone"),
                            ("friends_only", "Friends Only"),
                            ("nobody", "Nobody"),
                        ],
                        default="everyone",
                        max_length=12,
                    ),
                ),
                ("suspended_at", models.DateTimeField(blank=True, null=True)),
                ("embedding_version", models.CharField(max_length=40)),
                ("model_version", models.CharField(max_length=40)),
                ("verification_count", models.PositiveIntegerField(default=0)),
                ("last_verified_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="faces",
                        to="recognition.user",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Template",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("embedding_version", models.CharField(max_length=40)),
                ("model_version", models.CharField(max_length=40)),
                ("embedding", pgvector.django.halfvec.HalfVectorField(dimensions=512)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "face",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="templates",
                        to="recognition.face",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="templates",
                        to="recognition.user",
                    ),
                ),
            ],
            options={
                "indexes": [
                    pgvector.django.indexes.HnswIndex(
                        ef_construction=200,
                        fields=["embedding"],
                        m=32,
                        name="template_embedding_hnsw",
                        opclasses=["halfvec_ip_ops"],
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("face", "embedding_version"), name="template_once_per_version"
                    )
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="face",
            constraint=models.CheckConstraint(
                condition=models.Q(("taggable__in", ["everyone", "friends_only", "nobody"])),
                name="face_taggable_known",
            ),
        ),
        # Out of line (TOAST) a halfvec is 4.5 times slower to scan.
        migrations.RunSQL(
            "ALTER TABLE recognition_template ALTER COLUMN embedding SET STORAGE PLAIN",
            migrations.RunSQL.noop,
        ),
        # Counters of the last hour need not survive a crash, and so need no write-ahead log.
        migrations.RunSQL(
            "ALTER TABLE recognition_ratewindow SET UNLOGGED",
            migrations.RunSQL.noop,
        ),
        # Retention may delete old rows; nothing may change one.
        migrations.RunSQL(
            """
            CREATE FUNCTION recognition_audit_is_append_only() RETURNS trigger
            LANGUAGE plpgsql AS $$
            BEGIN
                RAISE EXCEPTION 'the audit log is append-only';
            END $$;
            CREATE TRIGGER audit_append_only BEFORE UPDATE ON recognition_auditevent
            FOR EACH ROW EXECUTE FUNCTION recognition_audit_is_append_only();
            """,
            "DROP FUNCTION recognition_audit_is_append_only() CASCADE",
        ),
    ]
