"""How many faces one person has at most, by which a search for means looks at fewer people."""

from django.db import migrations, models

# As in _triggers, the plan is made for the rows of each call. Listings are inserted while the rows
# of their users are locked, so two enrolments of one person count one after the other.
_SQL = """
CREATE FUNCTION recognition_listing_most_faces() RETURNS trigger
LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    UPDATE recognition_sketchcentre c SET most_faces = most.faces
    FROM (
        SELECT embedding_version, max(faces) AS faces
        FROM (
            SELECT embedding_version, count(*) AS faces FROM recognition_listing
            WHERE user_id IN (SELECT user_id FROM new)
            GROUP BY user_id, embedding_version
        ) AS of_user
        GROUP BY embedding_version
    ) AS most
    WHERE c.embedding_version = most.embedding_version AND c.most_faces < most.faces;
    RETURN NULL;
END $$;
CREATE TRIGGER recognition_listing_most_faces AFTER INSERT ON recognition_listing
    REFERENCING NEW TABLE AS new
    FOR EACH STATEMENT EXECUTE FUNCTION recognition_listing_most_faces();

UPDATE recognition_sketchcentre c SET most_faces = most.faces
FROM (
    SELECT embedding_version, max(faces) AS faces
    FROM (
        SELECT embedding_version, count(*) AS faces FROM recognition_listing
        GROUP BY user_id, embedding_version
    ) AS of_user
    GROUP BY embedding_version
) AS most
WHERE c.embedding_version = most.embedding_version;
"""
_REVERSE_SQL = "DROP FUNCTION recognition_listing_most_faces() CASCADE"


class Migration(migrations.Migration):
    dependencies = [("recognition", "0005_newface_attempts")]

    operations = [
        migrations.AddField(
            "sketchcentre", "most_faces", models.PositiveIntegerField(default=1, db_default=1)
        ),
        migrations.RunSQL(_SQL, _REVERSE_SQL),
    ]
