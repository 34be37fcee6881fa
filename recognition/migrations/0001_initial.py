"""All tables, and what the database does by itself with their rows: see _triggers."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.operations import TrigramExtension
from django.db import migrations, models
from django.db.models import CASCADE, DO_NOTHING, SET_NULL, F, Q
from django.db.models.functions import Upper
from pgvector.django import BitField, HalfVectorField, VectorExtension

from recognition.migrations import _triggers
from recognition.models import new_face_id

_STORAGE = """
-- Out of line (TOAST) vectors and bits are slower to scan: a halfvec 4.5 times.
ALTER TABLE recognition_template ALTER COLUMN embedding SET STORAGE PLAIN;
ALTER TABLE recognition_sketch ALTER COLUMN bits SET STORAGE PLAIN;
ALTER TABLE recognition_publicsketch ALTER COLUMN bits SET STORAGE PLAIN;
-- With room in each page a change of privacy stays there, and touches no index.
ALTER TABLE recognition_listing SET (fillfactor = 90);
-- Encrypted bytes do not compress; trying costs time.
ALTER TABLE recognition_facecrop ALTER COLUMN sealed SET STORAGE EXTERNAL;
-- Counters of the last hour need not survive a crash, and so need no write-ahead log.
ALTER TABLE recognition_ratewindow SET UNLOGGED;
"""

_LEVELS = ["public", "friends", "private"]
_TAGGABLE = ["everyone", "friends_only", "nobody"]
_PURPOSES = ["login", "video_call", "other"]
_STATES = ["verifying", "verified", "lost", "mismatch", "ended"]
_DECISIONS = ["open", "same_person", "different_people"]
_COUNTED = ["enrolment", "verification", "search", "refusal"]


def _number():
    return models.BigAutoField(
        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
    )


def _only_one():
    return models.SmallIntegerField(default=1, editable=False, primary_key=True, serialize=False)


def _uuid():
    return models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)


def _user(related_name, on_delete=CASCADE, **options):
    return models.ForeignKey("recognition.user", on_delete, related_name=related_name, **options)


def _face(related_name=None, **options):
    return models.ForeignKey("recognition.face", SET_NULL, related_name=related_name, **options)


def _template(**options):
    options |= {"db_constraint": False, "primary_key": True, "serialize": False}
    return models.OneToOneField("recognition.template", DO_NOTHING, **options)


def _choice(values, max_length, **options):
    choices = [(value, value.replace("_", " ").title()) for value in values]
    return models.CharField(choices=choices, max_length=max_length, **options)


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        VectorExtension(),
        # Comes with PostgreSQL itself, and the owner of the database may create it.
        TrigramExtension(),
        # People, their faces, and the templates of those.
        migrations.CreateModel(
            "User",
            [
                ("id", _uuid()),
                ("display_name", models.CharField(blank=True, max_length=200)),
                ("profile_image", models.CharField(blank=True, max_length=2000)),
                ("privacy_level", _choice(_LEVELS, 10, default="friends")),
                ("suspended_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            {
                "verbose_name": "person",
                "verbose_name_plural": "people",
                "permissions": [
                    ("view_pictures", "Can see pictures of faces and find people by a photo"),
                    ("moderate_user", "Can suspend, unlock, move, merge and decide duplicates"),
                    ("erase_user", "Can erase people"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(privacy_level__in=_LEVELS),
                        name="user_privacy_level_known",
                    )
                ],
                "indexes": [
                    models.Index(fields=["-created_at", "-id"], name="user_newest"),
                    models.Index(
                        condition=Q(suspended_at__isnull=False),
                        fields=["-created_at", "-id"],
                        name="user_suspended",
                    ),
                    GinIndex(
                        OpClass(Upper("display_name"), name="gin_trgm_ops"),
                        name="user_by_part_of_name",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            "Face",
            [
                ("id", _number()),
                (
                    "face_id",
                    models.CharField(
                        default=new_face_id, editable=False, max_length=17, unique=True
                    ),
                ),
                ("face_group", models.CharField(default="primary", max_length=64)),
                ("quality_score", models.FloatField()),
                ("quality_components", models.JSONField()),
                ("attributes", models.JSONField()),
                ("metadata", models.JSONField(blank=True, default=dict)),
                ("searchable", models.BooleanField(default=True)),
                ("taggable", _choice(_TAGGABLE, 12, default="everyone")),
                ("suspended_at", models.DateTimeField(blank=True, null=True)),
                ("embedding_version", models.CharField(max_length=40)),
                ("model_version", models.CharField(max_length=40)),
                ("verification_count", models.PositiveIntegerField(default=0)),
                ("last_verified_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("user", _user("faces")),
            ],
            {
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(taggable__in=_TAGGABLE),
                        name="face_taggable_known",
                    )
                ],
                "indexes": [
                    models.Index(
                        condition=Q(suspended_at__isnull=False),
                        fields=["-id"],
                        name="face_suspended",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            "FaceCrop",
            [
                ("id", _number()),
                ("sealed", models.BinaryField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("face", models.OneToOneField("recognition.face", CASCADE, related_name="crop")),
            ],
        ),
        migrations.CreateModel(
            "Template",
            [
                ("id", _number()),
                ("embedding_version", models.CharField(max_length=60)),
                ("model_version", models.CharField(max_length=40)),
                ("embedding", HalfVectorField(dimensions=512)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("face", models.ForeignKey("recognition.face", CASCADE, related_name="templates")),
                ("user", _user("templates")),
            ],
            {
                "constraints": [
                    models.UniqueConstraint(
                        fields=["face", "embedding_version"], name="template_once_per_version"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            "ActiveModel",
            [
                ("id", _only_one()),
                ("pack", models.CharField(max_length=40)),
                ("template_key", models.CharField(blank=True, max_length=8)),
                ("activated_at", models.DateTimeField(auto_now=True)),
            ],
            {
                "verbose_name_plural": "active model",
                "constraints": [
                    models.CheckConstraint(condition=Q(id=1), name="activemodel_has_one_row")
                ],
            },
        ),
        # The social graph.
        migrations.CreateModel(
            "Friendship",
            [
                ("id", _number()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("friend", _user("+", db_index=False)),
                ("user", _user("friendships", db_index=False)),
            ],
            {
                "constraints": [
                    models.UniqueConstraint(fields=["user", "friend"], name="friendship_once"),
                    models.CheckConstraint(
                        condition=~Q(user=F("friend")), name="friendship_of_two"
                    ),
                ],
                "indexes": [models.Index(fields=["friend"], name="friendship_by_friend")],
            },
        ),
        migrations.CreateModel(
            "Group",
            [
                ("id", _number()),
                ("name", models.CharField(max_length=64)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            {
                "constraints": [
                    models.UniqueConstraint(fields=["name"], name="group_name_once"),
                    models.CheckConstraint(
                        condition=~Q(name__in=["", "public", "friends"]), name="group_name_free"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            "Membership",
            [
                ("id", _number()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "group",
                    models.ForeignKey(
                        "recognition.group", CASCADE, related_name="memberships", db_index=False
                    ),
                ),
                ("user", _user("memberships", db_index=False)),
            ],
            {
                "constraints": [
                    models.UniqueConstraint(fields=["group", "user"], name="membership_once")
                ],
                "indexes": [models.Index(fields=["user", "group"], name="membership_by_user")],
            },
        ),
        # What a search reads.
        migrations.CreateModel(
            "SketchCentre",
            [
                (
                    "embedding_version",
                    models.CharField(max_length=60, primary_key=True, serialize=False),
                ),
                ("centre", HalfVectorField(dimensions=512)),
            ],
        ),
        migrations.CreateModel(
            "Sketch", [("template", _template()), ("bits", BitField(length=512))]
        ),
        migrations.CreateModel(
            "PublicSketch", [("template", _template()), ("bits", BitField(length=512))]
        ),
        migrations.CreateModel(
            "Listing",
            [
                ("template", _template(related_name="listing")),
                ("embedding_version", models.CharField(max_length=60)),
                ("user", _user("listings", DO_NOTHING, db_constraint=False, db_index=False)),
                ("privacy_level", models.CharField(max_length=10)),
                ("suspended", models.BooleanField()),
                ("searchable", models.BooleanField()),
                ("taggable", models.CharField(max_length=12)),
            ],
            {
                "indexes": [
                    models.Index(
                        condition=Q(searchable=True, suspended=False),
                        fields=["privacy_level", "user"],
                        name="listing_by_privacy",
                    ),
                    models.Index(
                        fields=["user"],
                        include=[
                            "embedding_version",
                            "privacy_level",
                            "suspended",
                            "searchable",
                            "taggable",
                        ],
                        name="listing_by_user",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            "GalleryCount",
            [
                ("id", _number()),
                ("embedding_version", models.CharField(max_length=60)),
                ("privacy_level", models.CharField(max_length=10)),
                ("taggable", models.CharField(max_length=12)),
                ("shown", models.BooleanField()),
                ("templates", models.BigIntegerField()),
            ],
        ),
        # Verification sessions, attempts, and what stops those who guess.
        migrations.CreateModel(
            "Session",
            [
                ("id", _uuid()),
                ("purpose", _choice(_PURPOSES, 10)),
                ("level", models.CharField(max_length=8)),
                ("state", _choice(_STATES, 9, default="verifying")),
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
                ("user", _user("verification_sessions")),
                ("moved_at", models.DateTimeField(null=True)),
            ],
            {
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(purpose__in=_PURPOSES),
                        name="session_purpose_known",
                    ),
                    models.CheckConstraint(
                        condition=Q(state__in=_STATES),
                        name="session_state_known",
                    ),
                ],
                "indexes": [models.Index(fields=["expires_at"], name="session_expiry")],
            },
        ),
        migrations.CreateModel(
            "Attempt",
            [
                ("id", _number()),
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
                ("face", _face(null=True)),
                ("user", _user("attempts", db_index=False)),
                (
                    "session",
                    models.ForeignKey(
                        "recognition.session", CASCADE, null=True, related_name="attempts"
                    ),
                ),
            ],
            {
                "indexes": [
                    models.Index(fields=["user", "at"], name="attempt_of_user"),
                    models.Index(fields=["device", "at"], name="attempt_from_device"),
                    models.Index(fields=["source", "at"], name="attempt_by_client"),
                    models.Index(fields=["at"], name="attempt_age"),
                ],
            },
        ),
        migrations.CreateModel(
            "RecentProbe",
            [
                ("id", _number()),
                ("at", models.DateTimeField()),
                ("embedding_version", models.CharField(max_length=60)),
                ("embedding", HalfVectorField(dimensions=512)),
                (
                    "session",
                    models.ForeignKey(
                        "recognition.session", CASCADE, null=True, related_name="counted_faces"
                    ),
                ),
                ("user", _user("recent_probes", db_index=False)),
            ],
            {
                "indexes": [
                    models.Index(fields=["user", "at"], name="recentprobe_of_user"),
                    models.Index(fields=["at"], name="recentprobe_age"),
                ],
            },
        ),
        migrations.CreateModel(
            "FailureCount",
            [
                ("id", _number()),
                ("source", models.CharField(max_length=320)),
                ("failures", models.PositiveIntegerField()),
                ("parts", models.PositiveSmallIntegerField(default=0)),
                ("blocked_until", models.DateTimeField(null=True)),
                ("locked_at", models.DateTimeField(null=True)),
                ("last_failure_at", models.DateTimeField()),
                ("user", _user("failure_counts", db_index=False)),
            ],
            {
                "constraints": [
                    models.UniqueConstraint(fields=["user", "source"], name="failurecount_once")
                ],
                "indexes": [
                    models.Index(
                        condition=Q(locked_at__isnull=False),
                        fields=["-id"],
                        name="failurecount_locked",
                    )
                ],
            },
        ),
        # Users who may be one person.
        migrations.CreateModel(
            "PossibleDuplicate",
            [
                ("id", _number()),
                ("confidence", models.FloatField()),
                ("state", _choice(_DECISIONS, 16, default="open")),
                ("found_at", models.DateTimeField(auto_now_add=True)),
                ("decided_by", models.CharField(blank=True, max_length=110)),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                ("face_a", _face("+", null=True)),
                ("face_b", _face("+", null=True)),
                ("user_a", _user("+", db_index=False)),
                ("user_b", _user("+", null=True)),
            ],
            {
                "constraints": [
                    models.UniqueConstraint(fields=["user_a", "user_b"], name="duplicate_once"),
                    models.CheckConstraint(
                        condition=Q(state="same_person", user_b=None)
                        | Q(state__in=("open", "different_people"), user_a__lt=F("user_b")),
                        name="duplicate_of_two",
                    ),
                    models.CheckConstraint(
                        condition=Q(state="open", decided_at=None)
                        | (~Q(state="open") & Q(decided_at__isnull=False)),
                        name="duplicate_decided_once",
                    ),
                ],
                "indexes": [models.Index(fields=["state", "id"], name="duplicate_by_state")],
            },
        ),
        migrations.CreateModel(
            "MergedUser",
            [
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField(auto_now_add=True)),
                ("into", _user("former_ids", SET_NULL, null=True)),
            ],
        ),
        migrations.CreateModel(
            "DuplicateSearch",
            [
                ("id", _only_one()),
                ("embedding_version", models.CharField(max_length=60)),
                ("last_template", models.BigIntegerField(default=0)),
                ("started_at", models.DateTimeField()),
                ("finished_at", models.DateTimeField(null=True)),
            ],
            {
                "constraints": [
                    models.CheckConstraint(condition=Q(id=1), name="duplicatesearch_has_one_row")
                ],
            },
        ),
        # What was done, and how often.
        migrations.CreateModel(
            "AuditEvent",
            [
                ("id", _number()),
                ("at", models.DateTimeField(auto_now_add=True)),
                ("actor", models.CharField(max_length=110)),
                ("action", models.CharField(max_length=40)),
                ("user_id", models.UUIDField(null=True)),
                ("face_id", models.CharField(blank=True, max_length=17)),
                ("details", models.JSONField(default=dict)),
                ("other_user_id", models.UUIDField(null=True)),
                ("request_id", models.CharField(blank=True, db_default="", max_length=128)),
                ("viewer_id", models.UUIDField(null=True)),
            ],
            {
                "verbose_name": "event",
                "verbose_name_plural": "audit log",
                "indexes": [
                    models.Index(fields=["user_id", "id"], name="audit_of_user"),
                    models.Index(
                        condition=Q(other_user_id__isnull=False),
                        fields=["other_user_id", "id"],
                        name="audit_of_other_user",
                    ),
                    models.Index(fields=["action", "id"], name="audit_of_action"),
                    models.Index(fields=["at"], name="audit_age"),
                ],
            },
        ),
        migrations.CreateModel(
            "IdempotencyKey",
            [
                ("id", _number()),
                ("subject", models.CharField(max_length=100)),
                ("key", models.CharField(max_length=255)),
                ("fingerprint", models.CharField(max_length=64)),
                ("status", models.PositiveSmallIntegerField()),
                ("answer", models.TextField()),
                ("user_ids", ArrayField(models.UUIDField(), default=list)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            {
                "constraints": [
                    models.UniqueConstraint(fields=["subject", "key"], name="idempotency_key_once")
                ],
                "indexes": [
                    models.Index(fields=["created_at"], name="idempotency_age"),
                    GinIndex(fields=["user_ids"], name="idempotency_names_user"),
                ],
            },
        ),
        migrations.CreateModel(
            "RateWindow",
            [
                ("key", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("minute_start", models.DateTimeField()),
                ("minute_count", models.PositiveIntegerField()),
                ("hour_start", models.DateTimeField()),
                ("hour_count", models.PositiveIntegerField()),
            ],
        ),
        migrations.CreateModel(
            "DailyCount",
            [
                ("id", _number()),
                ("day", models.DateField()),
                ("kind", _choice(_COUNTED, 12)),
                ("label", models.CharField(blank=True, max_length=40)),
                ("count", models.BigIntegerField()),
            ],
            {
                "constraints": [
                    models.UniqueConstraint(fields=["day", "kind", "label"], name="dailycount_once")
                ],
            },
        ),
        migrations.RunSQL(_STORAGE, migrations.RunSQL.noop),
        migrations.RunSQL(_triggers.SQL, _triggers.REVERSE_SQL),
    ]
