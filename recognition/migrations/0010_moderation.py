"""Possible duplicates get a table of their own, merged ids are remembered, the log says more.

The audit log knows the request, the viewer and the second user of a merge or a move. What it said
of faces that match another user's moves into the table, and one operator has one spelling.
"""

import django.db.models.deletion
from django.db import migrations, models

_ONLY_APPENDED = """
CREATE OR REPLACE FUNCTION recognition_audit_is_append_only() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    -- The purge says until when, in its transaction, and can never take what is fresh.
    IF TG_OP = 'DELETE' AND OLD.at < now() - interval '30 days'
        AND OLD.at < nullif(current_setting('facesvc.audit_purged_before', true), '')::timestamptz
    THEN
        RETURN OLD;
    END IF;
    -- What is said about somebody who is gone may be emptied, down to who, when, what and the id.
    IF TG_OP = 'UPDATE' AND OLD.action <> 'user.erase'
        AND NEW.details = '{}' AND NEW.face_id IN ('', OLD.face_id)
        AND (NEW.other_user_id IS NULL OR NEW.other_user_id = OLD.other_user_id)
        AND (NEW.id, NEW.at, NEW.actor, NEW.action, NEW.user_id, NEW.viewer_id, NEW.request_id)
            IS NOT DISTINCT FROM
            (OLD.id, OLD.at, OLD.actor, OLD.action, OLD.user_id, OLD.viewer_id, OLD.request_id)
        AND EXISTS (
            SELECT FROM (VALUES (OLD.user_id), (OLD.other_user_id)) AS about (id)
            WHERE about.id IS NOT NULL
                AND NOT EXISTS (SELECT FROM recognition_user u WHERE u.id = about.id)
        )
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the audit log is append-only';
END $$;
"""

_AS_BEFORE = """
CREATE OR REPLACE FUNCTION recognition_audit_is_append_only() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.at < now() - interval '30 days'
        AND OLD.at < nullif(current_setting('facesvc.audit_purged_before', true), '')::timestamptz
    THEN
        RETURN OLD;
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.action <> 'user.erase'
        AND NEW.details = '{}' AND NEW.face_id IN ('', OLD.face_id)
        AND (NEW.id, NEW.at, NEW.actor, NEW.action, NEW.user_id)
            IS NOT DISTINCT FROM (OLD.id, OLD.at, OLD.actor, OLD.action, OLD.user_id)
        AND EXISTS (
            SELECT FROM (VALUES (OLD.user_id), ((OLD.details ->> 'other_user_id')::uuid)) AS about (id)
            WHERE about.id IS NOT NULL
                AND NOT EXISTS (SELECT FROM recognition_user u WHERE u.id = about.id)
        )
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the audit log is append-only';
END $$;
"""

# After the insertion and not before it: who creates a user at the moment of the merge waits for it
# on the primary key, and only then looks here. To be tried again, when it is refused in words.
_STAY_MERGED = """
CREATE FUNCTION recognition_merged_stay_merged() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added JOIN recognition_mergeduser USING (id)) THEN
        RAISE EXCEPTION 'a merged user is not created again' USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER merged_stay_merged AFTER INSERT ON recognition_user
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION recognition_merged_stay_merged();
"""

# Of those who are still there with these faces.
_MATCHES = """
ALTER TABLE recognition_auditevent DISABLE TRIGGER audit_append_only;
INSERT INTO recognition_possibleduplicate
    (user_a_id, user_b_id, face_a_id, face_b_id, confidence, state, found_at, decided_by)
SELECT DISTINCT ON (user_a, user_b) user_a, user_b, face_a, face_b, confidence, 'open', at, ''
FROM (
    SELECT least(f.user_id, o.user_id) AS user_a, greatest(f.user_id, o.user_id) AS user_b,
        CASE WHEN f.user_id < o.user_id THEN f.id ELSE o.id END AS face_a,
        CASE WHEN f.user_id < o.user_id THEN o.id ELSE f.id END AS face_b,
        (e.details ->> 'confidence_score')::float AS confidence, e.at
    FROM recognition_auditevent e
    JOIN recognition_face f ON f.face_id = e.face_id AND f.user_id = e.user_id
    JOIN recognition_face o ON o.face_id = e.details ->> 'other_face_id'
        AND o.user_id = (e.details ->> 'other_user_id')::uuid
    WHERE e.action = 'face.matches_other_user' AND f.user_id <> o.user_id
) AS found
ORDER BY user_a, user_b, confidence DESC;
DELETE FROM recognition_auditevent WHERE action = 'face.matches_other_user';
UPDATE recognition_auditevent SET actor = 'operator:' || substr(actor, 7)
WHERE actor LIKE 'admin:%';
ALTER TABLE recognition_auditevent ENABLE TRIGGER audit_append_only;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("recognition", "0013_daily_counts"),
    ]

    operations = [
        migrations.CreateModel(
            name="DuplicateSearch",
            fields=[
                (
                    "id",
                    models.SmallIntegerField(
                        default=1, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("embedding_version", models.CharField(max_length=60)),
                ("last_template", models.BigIntegerField(default=0)),
                ("started_at", models.DateTimeField()),
                ("finished_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="MergedUser",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.CreateModel(
            name="PossibleDuplicate",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("confidence", models.FloatField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("same_person", "Same Person"),
                            ("different_people", "Different People"),
                        ],
                        default="open",
                        max_length=16,
                    ),
                ),
                ("found_at", models.DateTimeField(auto_now_add=True)),
                ("decided_by", models.CharField(blank=True, max_length=110)),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.RemoveIndex(
            model_name="auditevent",
            name="audit_of_user",
        ),
        migrations.RemoveIndex(
            model_name="auditevent",
            name="audit_of_matches",
        ),
        migrations.AddField(
            model_name="auditevent",
            name="other_user_id",
            field=models.UUIDField(null=True),
        ),
        migrations.AddField(
            model_name="auditevent",
            name="request_id",
            field=models.CharField(blank=True, db_default="", max_length=128),
        ),
        migrations.AddField(
            model_name="auditevent",
            name="viewer_id",
            field=models.UUIDField(null=True),
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["user_id", "id"], name="audit_of_user"),
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(
                condition=models.Q(("other_user_id__isnull", False)),
                fields=["other_user_id", "id"],
                name="audit_of_other_user",
            ),
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["action", "id"], name="audit_of_action"),
        ),
        migrations.AddConstraint(
            model_name="duplicatesearch",
            constraint=models.CheckConstraint(
                condition=models.Q(("id", 1)), name="duplicatesearch_has_one_row"
            ),
        ),
        migrations.AddField(
            model_name="mergeduser",
            name="into",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="former_ids",
                to="recognition.user",
            ),
        ),
        migrations.AddField(
            model_name="possibleduplicate",
            name="face_a",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="recognition.face",
            ),
        ),
        migrations.AddField(
            model_name="possibleduplicate",
            name="face_b",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="recognition.face",
            ),
        ),
        migrations.AddField(
            model_name="possibleduplicate",
            name="user_a",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="recognition.user",
            ),
        ),
        migrations.AddField(
            model_name="possibleduplicate",
            name="user_b",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="recognition.user",
            ),
        ),
        migrations.AddIndex(
            model_name="possibleduplicate",
            index=models.Index(fields=["state", "id"], name="duplicate_by_state"),
        ),
        migrations.AddConstraint(
            model_name="possibleduplicate",
            constraint=models.UniqueConstraint(fields=("user_a", "user_b"), name="duplicate_once"),
        ),
        migrations.AddConstraint(
            model_name="possibleduplicate",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "same_person"), ("user_b", None)),
                    models.Q(
                        ("state__in", ("open", "different_people")),
                        ("user_a__lt", models.F("user_b")),
                    ),
                    _connector="OR",
                ),
                name="duplicate_of_two",
            ),
        ),
        migrations.AddConstraint(
            model_name="possibleduplicate",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("decided_at", None), ("state", "open")),
                    models.Q(
                        models.Q(("state", "open"), _negated=True), ("decided_at__isnull", False)
                    ),
                    _connector="OR",
                ),
                name="duplicate_decided_once",
            ),
        ),
        migrations.RunSQL(_ONLY_APPENDED, _AS_BEFORE),
        migrations.RunSQL(_STAY_MERGED, "DROP FUNCTION recognition_merged_stay_merged() CASCADE"),
        # The last: what is inserted here waits for the checks of its foreign keys.
        migrations.RunSQL(_MATCHES, migrations.RunSQL.noop),
    ]
