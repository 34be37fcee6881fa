"""The sketches of what every viewer may find once more, in a table of their own.

Kept like the counts: whatever changes a listing, by the statement. The listings' triggers hold the
rows of the users, so two changes of one listing never meet here.
"""

import django.db.models.deletion
import pgvector.django
from django.db import migrations, models

_IS_PUBLIC = "privacy_level = 'public' AND searchable AND NOT suspended"


def _adding(rows: str) -> str:
    return f"""
    INSERT INTO recognition_publicsketch (template_id, bits)
    SELECT template_id, bits FROM {rows} JOIN recognition_sketch USING (template_id)
    WHERE {_IS_PUBLIC}
    ON CONFLICT DO NOTHING;
"""


def _removing(where: str) -> str:
    return f"""
    DELETE FROM recognition_publicsketch
    WHERE template_id IN (SELECT template_id FROM {where});
"""


def _keeping(operation: str, body: str, *tables: str) -> str:
    name = f"recognition_listing_public_{operation.lower()}"
    referencing = " ".join(f"{table} TABLE AS {table}" for table in tables)
    return f"""
CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN {body} RETURN NULL; END $$;
CREATE TRIGGER {name} AFTER {operation} ON recognition_listing REFERENCING {referencing}
    FOR EACH STATEMENT EXECUTE FUNCTION {name}();
"""


_KEEP = f"""
{_keeping("INSERT", _adding("new"), "new")}
{_keeping("DELETE", _removing("old"), "old")}
{_keeping("UPDATE", _removing(f"new WHERE NOT ({_IS_PUBLIC})") + _adding("new"), "old", "new")}

CREATE OR REPLACE FUNCTION recognition_list_anew() RETURNS void LANGUAGE sql AS $$
    TRUNCATE recognition_listing, recognition_sketch, recognition_publicsketch,
        recognition_gallerycount;
    SELECT recognition_list(array_agg(id)) FROM recognition_template;
$$;
-- A plan made without the ids, when there were few templates, compares each of many new ones with
-- each id again and again.
ALTER FUNCTION recognition_list(bigint[]) SET plan_cache_mode = force_custom_plan;

{_adding("recognition_listing")}
"""

_DROP = """
ALTER FUNCTION recognition_list(bigint[]) RESET plan_cache_mode;
DROP FUNCTION recognition_listing_public_insert() CASCADE;
DROP FUNCTION recognition_listing_public_delete() CASCADE;
DROP FUNCTION recognition_listing_public_update() CASCADE;
CREATE OR REPLACE FUNCTION recognition_list_anew() RETURNS void LANGUAGE sql AS $$
    TRUNCATE recognition_listing, recognition_sketch, recognition_gallerycount;
    SELECT recognition_list(array_agg(id)) FROM recognition_template;
$$;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("recognition", "0006_sessions"),
    ]

    operations = [
        migrations.CreateModel(
            name="PublicSketch",
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
        # As those of all sketches: out of line (TOAST) the bits would be slower to scan.
        migrations.RunSQL(
            "ALTER TABLE recognition_publicsketch ALTER COLUMN bits SET STORAGE PLAIN",
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(_KEEP, _DROP),
    ]
