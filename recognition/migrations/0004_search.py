"""What a search reads is kept by the database: listings of templates, and counts of those.

Every change of a listing holds the rows of its users until it is committed, and reads the rest
after that: two changes at once end as if one came after the other. Several users are locked in the
order of their ids; whoever changes many users at once has to lock them so first.
"""

import django.db.models.deletion
import pgvector.django
from django.db import migrations, models

_LISTINGS = """
-- Of new templates, given by their ids; those that are listed already stay.
CREATE FUNCTION recognition_list(templates bigint[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    lacking text;
BEGIN
    SELECT min(t.embedding_version) INTO lacking FROM recognition_template t
    LEFT JOIN recognition_sketchcentre c USING (embedding_version)
    WHERE t.id = ANY (templates) AND c.centre IS NULL;
    IF lacking IS NOT NULL THEN
        RAISE EXCEPTION 'the template version % has no sketch centre', lacking;
    END IF;
    PERFORM FROM recognition_user WHERE id IN
        (SELECT user_id FROM recognition_template WHERE id = ANY (templates))
    ORDER BY id FOR NO KEY UPDATE;
    INSERT INTO recognition_sketch (template_id, bits)
    SELECT t.id, binary_quantize(t.embedding - c.centre)::bit(512)
    FROM recognition_template t JOIN recognition_sketchcentre c USING (embedding_version)
    WHERE t.id = ANY (templates)
    ON CONFLICT DO NOTHING;
    INSERT INTO recognition_listing (template_id, embedding_version, user_id,
        privacy_level, suspended, searchable, taggable)
    SELECT t.id, t.embedding_version, t.user_id, u.privacy_level,
        f.suspended_at IS NOT NULL OR u.suspended_at IS NOT NULL, f.searchable, f.taggable
    FROM recognition_template t
    JOIN recognition_face f ON f.id = t.face_id
    JOIN recognition_user u ON u.id = t.user_id
    WHERE t.id = ANY (templates)
    ON CONFLICT DO NOTHING;
END $$;

CREATE FUNCTION recognition_list_templates(version text) RETURNS void LANGUAGE sql AS $$
    SELECT recognition_list(array_agg(id)) FROM recognition_template
    WHERE embedding_version = version
$$;

-- Everything anew, for a database that was filled without its triggers.
CREATE FUNCTION recognition_list_anew() RETURNS void LANGUAGE sql AS $$
    TRUNCATE recognition_listing, recognition_sketch, recognition_gallerycount;
    SELECT recognition_list(array_agg(id)) FROM recognition_template;
$$;

CREATE FUNCTION recognition_template_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM recognition_list(array_agg(id)) FROM added;
    RETURN NULL;
END $$;
CREATE TRIGGER template_added AFTER INSERT ON recognition_template
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION recognition_template_added();

CREATE FUNCTION recognition_template_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM recognition_user WHERE id IN (SELECT user_id FROM removed)
    ORDER BY id FOR NO KEY UPDATE;
    DELETE FROM recognition_sketch WHERE template_id IN (SELECT id FROM removed);
    DELETE FROM recognition_listing WHERE template_id IN (SELECT id FROM removed);
    RETURN NULL;
END $$;
CREATE TRIGGER template_removed AFTER DELETE ON recognition_template
    REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION recognition_template_removed();

CREATE FUNCTION recognition_template_truncated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM recognition_listing;
    DELETE FROM recognition_sketch;
    DELETE FROM recognition_gallerycount;
    RETURN NULL;
END $$;
CREATE TRIGGER template_truncated AFTER TRUNCATE ON recognition_template
    FOR EACH STATEMENT EXECUTE FUNCTION recognition_template_truncated();

CREATE FUNCTION recognition_template_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a template is never changed, only added and deleted';
END $$;
CREATE TRIGGER template_is_final BEFORE UPDATE ON recognition_template
    FOR EACH ROW EXECUTE FUNCTION recognition_template_is_final();

CREATE FUNCTION recognition_face_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Most changes of faces are of no interest here, such as the count of verifications.
    IF NOT EXISTS (
        SELECT FROM was JOIN become USING (id)
        WHERE (was.taggable, was.searchable, was.suspended_at IS NULL)
            IS DISTINCT FROM (become.taggable, become.searchable, become.suspended_at IS NULL)
    ) THEN
        RETURN NULL;
    END IF;
    PERFORM FROM recognition_user WHERE id IN (SELECT user_id FROM become)
    ORDER BY id FOR NO KEY UPDATE;
    UPDATE recognition_listing l SET
        searchable = become.searchable,
        taggable = become.taggable,
        suspended = become.suspended_at IS NOT NULL OR u.suspended_at IS NOT NULL
    FROM become
    JOIN recognition_template t ON t.face_id = become.id
    JOIN recognition_user u ON u.id = t.user_id
    WHERE l.template_id = t.id;
    RETURN NULL;
END $$;
CREATE TRIGGER face_changed AFTER UPDATE ON recognition_face
    REFERENCING OLD TABLE AS was NEW TABLE AS become
    FOR EACH STATEMENT EXECUTE FUNCTION recognition_face_changed();

CREATE FUNCTION recognition_user_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Neither is a new name.
    IF NOT EXISTS (
        SELECT FROM was JOIN become USING (id)
        WHERE (was.privacy_level, was.suspended_at IS NULL)
            IS DISTINCT FROM (become.privacy_level, become.suspended_at IS NULL)
    ) THEN
        RETURN NULL;
    END IF;
    UPDATE recognition_listing l SET
        privacy_level = become.privacy_level,
        suspended = become.suspended_at IS NOT NULL OR f.suspended_at IS NOT NULL
    FROM become
    JOIN recognition_template t ON t.user_id = become.id
    JOIN recognition_face f ON f.id = t.face_id
    WHERE l.template_id = t.id;
    RETURN NULL;
END $$;
CREATE TRIGGER user_changed AFTER UPDATE ON recognition_user
    REFERENCING OLD TABLE AS was NEW TABLE AS become
    FOR EACH STATEMENT EXECUTE FUNCTION recognition_user_changed();
"""

_COUNT = """
INSERT INTO recognition_gallerycount (embedding_version, privacy_level, taggable, shown, templates)
SELECT embedding_version, privacy_level, taggable, searchable AND NOT suspended, {sign}count(*)
FROM {rows} GROUP BY 1, 2, 3, 4;
"""


def _counting(operation: str, *tables: str) -> str:
    """A trigger that counts the rows of `old` as gone and those of `new` as come."""
    name = f"recognition_listing_{operation.lower()}"
    counts = "".join(_COUNT.format(sign="-" if t == "old" else "", rows=t) for t in tables)
    referencing = " ".join(f"{table} TABLE AS {table}" for table in tables)
    return f"""
CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN {counts} RETURN NULL; END $$;
CREATE TRIGGER {name} AFTER {operation} ON recognition_listing REFERENCING {referencing}
    FOR EACH STATEMENT EXECUTE FUNCTION {name}();
"""


_COUNTS = f"""
{_counting("INSERT", "new")}
{_counting("DELETE", "old")}
{_counting("UPDATE", "old", "new")}

-- Every hundred rows or so are summed up to one of each kind; who reads meanwhile sees either.
CREATE FUNCTION recognition_gallerycount_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF random() < 0.01 THEN
        WITH summed AS (
            DELETE FROM recognition_gallerycount WHERE id IN
                (SELECT id FROM recognition_gallerycount FOR UPDATE SKIP LOCKED)
            RETURNING *
        )
        INSERT INTO recognition_gallerycount
            (embedding_version, privacy_level, taggable, shown, templates)
        SELECT embedding_version, privacy_level, taggable, shown, sum(templates) FROM summed
        GROUP BY 1, 2, 3, 4 HAVING sum(templates) <> 0;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER gallerycount_added AFTER INSERT ON recognition_gallerycount
    FOR EACH STATEMENT EXECUTE FUNCTION recognition_gallerycount_added();
"""

_DROP = """
DROP FUNCTION recognition_list(bigint[]);
DROP FUNCTION recognition_list_templates(text);
DROP FUNCTION recognition_list_anew();
""" + "".join(
    f"DROP FUNCTION recognition_{name}() CASCADE;"
    for name in (
        "template_added",
        "template_removed",
        "template_truncated",
        "template_is_final",
        "face_changed",
        "user_changed",
        "listing_insert",
        "listing_delete",
        "listing_update",
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
                ("shown", models.BooleanField()),
                ("templates", models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="Listing",
            fields=[
                (
                    "template",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="listing",
                        serialize=False,
                        to="recognition.template",
                    ),
                ),
                ("embedding_version", models.CharField(max_length=60)),
                (
                    "user",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="listings",
                        to="recognition.user",
                    ),
                ),
                ("privacy_level", models.CharField(max_length=10)),
                ("suspended", models.BooleanField()),
                ("searchable", models.BooleanField()),
                ("taggable", models.CharField(max_length=12)),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("searchable", True), ("suspended", False)),
                        fields=["privacy_level", "user"],
                        name="listing_by_privacy",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Sketch",
            fields=[
                (
                    "template",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        serialize=False,
                        to="recognition.template",
                    ),
                ),
                ("bits", pgvector.django.bit.BitField(length=512)),
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
        # Out of line (TOAST) the bits would be slower to scan.
        migrations.RunSQL(
            "ALTER TABLE recognition_sketch ALTER COLUMN bits SET STORAGE PLAIN",
            migrations.RunSQL.noop,
        ),
        # With room in each page a change of privacy stays there, and touches no index.
        migrations.RunSQL(
            "ALTER TABLE recognition_listing SET (fillfactor = 90)", migrations.RunSQL.noop
        ),
        migrations.RunSQL(_LISTINGS + _COUNTS, _DROP),
    ]
