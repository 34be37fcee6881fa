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
DROP TRIGGER audit_append_only ON recognition_auditevent;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON recognition_auditevent
    FOR EACH ROW EXECUTE FUNCTION recognition_audit_is_append_only();
CREATE TRIGGER audit_not_truncated BEFORE TRUNCATE ON recognition_auditevent
    FOR EACH STATEMENT EXECUTE FUNCTION recognition_audit_is_append_only();
"""

_AS_BEFORE = """
DROP TRIGGER audit_not_truncated ON recognition_auditevent;
DROP TRIGGER audit_append_only ON recognition_auditevent;
CREATE OR REPLACE FUNCTION recognition_audit_is_append_only() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only';
END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE ON recognition_auditevent
    FOR EACH ROW EXECUTE FUNCTION recognition_audit_is_append_only();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("recognition", "0007_public_sketches"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(
                condition=models.Q(("action", "face.matches_other_user")),
                fields=["id"],
                name="audit_of_matches",
            ),
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["at"], name="audit_age"),
        ),
        migrations.RunSQL(_ONLY_APPENDED, _AS_BEFORE),
    ]
