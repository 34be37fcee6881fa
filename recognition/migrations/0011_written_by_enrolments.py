"""An enrolment writes less after a checkpoint, and has less planned.

Each step is a transaction of its own, with a lock of one table. Together they would wait for a
search that waits for them, since it reads several tables. If a step is broken off, migrate again.
"""

from django.contrib.postgres.indexes import GinIndex, HashIndex, OpClass
from django.db import migrations, models
from django.db.models.functions import Upper

# What a migration that was broken off has left.
_AGAIN = ["DROP INDEX IF EXISTS listing_of_user", "DROP INDEX IF EXISTS user_by_part_of_name"]
_NAMES_AS_BEFORE = """
CREATE INDEX user_by_part_of_name ON recognition_user USING gin (upper(display_name) gin_trgm_ops)
"""

# The plans for a single template are kept: to make them takes longer than to list it. In a small
# gallery they could read whole tables, and would go on while it grows.
_KEPT_PLANS = """
CREATE OR REPLACE FUNCTION recognition_template_added() RETURNS trigger
LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan SET enable_seqscan = on AS $$
BEGIN
    IF (SELECT count(*) FROM added) = 1 AND (
        SELECT min(reltuples) FROM pg_class WHERE oid IN ('recognition_template'::regclass,
            'recognition_face'::regclass, 'recognition_user'::regclass)
    ) >= 1000 THEN
        PERFORM set_config('plan_cache_mode', 'force_generic_plan', true),
            set_config('enable_seqscan', 'off', true);
    END IF;
    PERFORM recognition_list(array_agg(id)) FROM added;
    RETURN NULL;
END $$;
ALTER FUNCTION recognition_list(bigint[]) RESET plan_cache_mode;
ALTER FUNCTION recognition_list_templates(text) SET plan_cache_mode = force_custom_plan;
ALTER FUNCTION recognition_list_anew() SET plan_cache_mode = force_custom_plan;
"""


def _emptier(model: str, name: str) -> migrations.SeparateDatabaseAndState:
    """A hash index with fewer ids in a page.

    REINDEX would hold the table while it waits for an enrolment that has read by the index. The
    enrolment then waits for the table, and one of them is broken off.
    """

    def filled(percent: int) -> list[str]:
        return [
            f"DROP INDEX IF EXISTS {name}_new",
            f"CREATE INDEX {name}_new ON recognition_{model.lower()} USING hash (user_id)"
            f" WITH (fillfactor = {percent})",
            f"DROP INDEX IF EXISTS {name}",
            f"ALTER INDEX {name}_new RENAME TO {name}",
        ]

    index = HashIndex(fields=["user"], fillfactor=15, name=name)
    return migrations.SeparateDatabaseAndState(
        [migrations.RunSQL(filled(15), filled(30))],
        [migrations.RemoveIndex(model, name), migrations.AddIndex(model, index)],
    )


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("recognition", "0010_hashes_by_user")]

    operations = [
        migrations.RunSQL(_KEPT_PLANS, migrations.RunSQL.noop),
        migrations.RunSQL(_AGAIN, _NAMES_AS_BEFORE),
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.RemoveIndex("User", "user_by_part_of_name")]
        ),
        migrations.AddIndex(
            "User",
            GinIndex(
                OpClass(Upper("display_name"), name="gin_trgm_ops"),
                condition=~models.Q(display_name=""),
                name="user_by_part_of_name",
            ),
        ),
        _emptier("Face", "face_of_user"),
        _emptier("Template", "template_of_user"),
        migrations.AddIndex(
            "Listing", HashIndex(fields=["user"], fillfactor=15, name="listing_of_user")
        ),
        migrations.RemoveIndex("Listing", "listing_by_user"),
    ]
