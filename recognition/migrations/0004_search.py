import django.db.models.deletion
import pgvector.django
from django.db import migrations, models

# What one template counts as; the same three columns in every statement below.
_LISTED = "f.searchable AND f.suspended_at IS NULL AND u.suspended_at IS NULL"

# Every change that counts holds the rows of the users it is about until it is committed, and reads
# the rest after that: so two changes at once add up as if one came after the other.
_FUNCTIONS = f"""
CREATE FUNCTION recognition_template_added() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    lacking text;
BEGIN
    SELECT min(a.embedding_version) INTO lacking FROM added a
    LEFT JOIN recognition_sketchcentre c USING (embedding_version) WHERE c.centre IS NULL;
    IF lacking IS NOT NULL THEN
        RAISE EXCEPTION 'the template version % has no sketch centre', lacking;
    END IF;
    INSERT INTO recognition_templatesketch (template_id, embedding_version, bits)
    SELECT a.id, a.embedding_version, binary_quantize(a.embedding - c.centre)::bit(512)
    FROM added a JOIN recognition_sketchcentre c USING (embedding_version);

    PERFORM FROM recognition_user WHERE id IN (SELECT user_id FROM added)
    ORDER BY id FOR NO KEY UPDATE;
    INSERT INTO recognition_gallerycount
        (embedding_version, privacy_level, taggable, listed, templates)
    SELECT a.embedding_version, u.privacy_level, f.taggable, {_LISTED}, count(*)
    FROM added a
    JOIN recognition_face f ON f.id = a.face_id JOIN recognition_user u ON u.id = a.user_id
    GROUP BY 1, 2, 3, 4;
    RETURN NULL;
END $$;

CREATE FUNCTION recognition_template_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM recognition_templatesketch WHERE template_id IN (SELECT id FROM removed);

    PERFORM FROM recognition_user WHERE id IN (SELECT user_id FROM removed)
    ORDER BY id FOR NO KEY UPDATE;
    INSERT INTO recognition_gallerycount
        (embedding_version, privacy_level, taggable, listed, templates)
    SELECT r.embedding_version, u.privacy_level, f.taggable, {_LISTED}, -count(*)
    FROM removed r
    JOIN recognition_face f ON f.id = r.face_id JOIN recognition_user u ON u.id = r.user_id
    GROUP BY 1, 2, 3, 4;
    RETURN NULL;
END $$;

CREATE FUNCTION recognition_face_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM recognition_user WHERE id = NEW.user_id FOR NO KEY UPDATE;
    INSERT INTO recognition_gallerycount
        (embedding_version, privacy_level, taggable, listed, templates)
    SELECT t.embedding_version, u.privacy_level, f.taggable, {_LISTED}, f.sign * count(*)
    FROM (VALUES
        (-1, OLD.taggable, OLD.searchable, OLD.suspended_at),
        (1, NEW.taggable, NEW.searchable, NEW.suspended_at)
    ) AS f (sign, taggable, searchable, suspended_at),
    recognition_template t JOIN recognition_user u ON u.id = t.user_id
    WHERE t.face_id = NEW.id
    GROUP BY f.sign, 1, 2, 3, 4;
    RETURN NULL;
END $$;

CREATE FUNCTION recognition_user_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO recognition_gallerycount
        (embedding_version, privacy_level, taggable, listed, templates)
    SELECT t.embedding_version, u.privacy_level, f.taggable, {_LISTED}, u.sign * count(*)
    FROM (VALUES
        (-1, OLD.privacy_level, OLD.suspended_at), (1, NEW.privacy_level, NEW.suspended_at)
    ) AS u (sign, privacy_level, suspended_at),
    recognition_template t JOIN recognition_face f ON f.id = t.face_id
    WHERE t.user_id = NEW.id
    GROUP BY u.sign, 1, 2, 3, 4;
    RETURN NULL;
END $$;

-- A hundred rows or so are summed up to one of each kind; who reads meanwhile sees either.
CREATE FUNCTION recognition_gallerycount_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF random() < 0.01 THEN
        WITH summed AS (
            DELETE FROM recognition_gallerycount WHERE id IN
                (SELECT id FROM recognition_gallerycount FOR UPDATE SKIP LOCKED)
            RETURNING *
        )
        INSERT INTO recognition_gallerycount
            (embedding_version, privacy_level, taggable, listed, templates)
        SELECT embedding_version, privacy_level, taggable, listed, sum(templates) FROM summed
        GROUP BY 1, 2, 3, 4 HAVING sum(templates) <> 0;
    END IF;
    RETURN NULL;
END $$;
"""

_TRIGGERS = """
CREATE TRIGGER template_added AFTER INSERT ON recognition_template
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION recognition_template_added();
CREATE TRIGGER template_removed AFTER DELETE ON recognition_template
    REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION recognition_template_removed();
CREATE TRIGGER face_changed AFTER UPDATE ON recognition_face FOR EACH ROW
    WHEN ((OLD.taggable, OLD.searchable, OLD.suspended_at IS NULL)
        IS DISTINCT FROM (NEW.taggable, NEW.searchable, NEW.suspended_at IS NULL))
    EXECUTE FUNCTION recognition_face_changed();
CREATE TRIGGER user_changed AFTER UPDATE ON recognition_user FOR EACH ROW
    WHEN ((OLD.privacy_level, OLD.suspended_at IS NULL)
        IS DISTINCT FROM (NEW.privacy_level, NEW.suspended_at IS NULL))
    EXECUTE FUNCTION recognition_user_changed();
CREATE TRIGGER gallerycount_added AFTER INSERT ON recognition_gallerycount
    FOR EACH STATEMENT EXECUTE FUNCTION recognition_gallerycount_added();
"""

_COUNT_WHAT_IS_THERE = f"""
INSERT INTO recognition_gallerycount (embedding_version, privacy_level, taggable, listed, templates)
SELECT t.embedding_version, u.privacy_level, f.taggable, {_LISTED}, count(*)
FROM recognition_template t
JOIN recognition_face f ON f.id = t.face_id JOIN recognition_user u ON u.id = t.user_id
GROUP BY 1, 2, 3, 4;
"""

_DROP = "".join(
    f"DROP FUNCTION recognition_{name}() CASCADE;"
    for name in (
        "template_added",
        "template_removed",
        "face_changed",
        "user_changed",
        "gallerycount_added",
    )
)


class Migration(migrations.Migration):
    dependencies = [
        ("recognition", "0003_social_graph"),
    ]

    operations = [
        migrations.CreateModel(
            name="GalleryCount",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("embedding_version", models.CharField(max_length=60)),
                ("privacy_level", models.CharField(max_length=10)),
                ("taggable", models.CharField(max_length=12)),
                ("listed", models.BooleanField()),
                ("templates", models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="SketchCentre",
            fields=[
                (
                    "embedding_version",
                    models.CharField(max_length=60, primary_key=True, serialize=False),
                ),
                ("centre", pgvector.django.halfvec.HalfVectorField(dimensions=512)),
            ],
        ),
        migrations.CreateModel(
            name="TemplateSketch",
            fields=[
                (
                    "template",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="sketch",
                        serialize=False,
                        to="recognition.template",
                    ),
                ),
                ("embedding_version", models.CharField(max_length=60)),
                ("bits", pgvector.django.bit.BitField(length=512)),
            ],
        ),
        migrations.AddIndex(
            model_name="user",
            index=models.Index(
                condition=models.Q(("privacy_level", "public")), fields=["id"], name="user_public"
            ),
        ),
        # Out of line (TOAST) the bits would be slower to scan.
        migrations.RunSQL(
            "ALTER TABLE recognition_templatesketch ALTER COLUMN bits SET STORAGE PLAIN",
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(_FUNCTIONS + _TRIGGERS + _COUNT_WHAT_IS_THERE, _DROP),
    ]
