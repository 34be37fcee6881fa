"""What the database does by itself, a part of 0001_initial: listings, their counts, rows that stay.

A trigger keeps each listing of a template as the template, its face and its user are. It holds the
rows of the users until the commit, and reads the rest after that: two changes at once end as if one
came after the other. Several users are locked in the order of their ids. A statement that changes
many users must lock them in that order first. 0011_written_by_enrolments has the later
recognition_template_added.
"""

_LISTINGS = """
-- Lists new templates, given by their ids; those that are listed already stay. A plan that was made
-- without the ids, when there were few templates, compares each of many new ones with each id.
CREATE FUNCTION recognition_list(templates bigint[]) RETURNS void
LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan AS $$
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

-- Makes all listings again, for a database that was filled without its triggers.
CREATE FUNCTION recognition_list_anew() RETURNS void LANGUAGE sql AS $$
    TRUNCATE recognition_listing, recognition_sketch, recognition_publicsketch,
        recognition_gallerycount;
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


def _on_listing(operation: str, suffix: str, tables: tuple[str, ...], body: str) -> str:
    """A trigger on the listings; `old` and `new` are the tables of the rows before and after."""
    name = f"recognition_listing_{suffix}"
    referencing = " ".join(f"{table} TABLE AS {table}" for table in tables)
    return f"""
CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN {body} RETURN NULL; END $$;
CREATE TRIGGER {name} AFTER {operation} ON recognition_listing REFERENCING {referencing}
    FOR EACH STATEMENT EXECUTE FUNCTION {name}();
"""


_COUNT = """
INSERT INTO recognition_gallerycount (embedding_version, privacy_level, taggable, shown, templates)
SELECT embedding_version, privacy_level, taggable, searchable AND NOT suspended, {sign}count(*)
FROM {rows} GROUP BY 1, 2, 3, 4;
"""
_COME = _COUNT.format(sign="", rows="new")
_GONE = _COUNT.format(sign="-", rows="old")

_COUNTS = f"""
{_on_listing("INSERT", "insert", ("new",), _COME)}
{_on_listing("DELETE", "delete", ("old",), _GONE)}
{_on_listing("UPDATE", "update", ("old", "new"), _GONE + _COME)}

-- Sums up the rows to one of each kind, about every hundredth time. A reader sees them or the sums.
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

# The sketches of what every viewer may find are kept once more, in a table of their own. The
# triggers of the listings hold the rows of the users, so two changes of one listing never meet.
_IS_PUBLIC = "privacy_level = 'public' AND searchable AND NOT suspended"
_ADD_PUBLIC = f"""
    INSERT INTO recognition_publicsketch (template_id, bits)
    SELECT template_id, bits FROM new JOIN recognition_sketch USING (template_id)
    WHERE {_IS_PUBLIC}
    ON CONFLICT DO NOTHING;
"""
_REMOVE = """
    DELETE FROM recognition_publicsketch
    WHERE template_id IN (SELECT template_id FROM {rows});
"""
_REMOVE_ALL = _REMOVE.format(rows="old")
_REMOVE_HIDDEN = _REMOVE.format(rows=f"new WHERE NOT ({_IS_PUBLIC})")

_PUBLIC_SKETCHES = f"""
{_on_listing("INSERT", "public_insert", ("new",), _ADD_PUBLIC)}
{_on_listing("DELETE", "public_delete", ("old",), _REMOVE_ALL)}
{_on_listing("UPDATE", "public_update", ("old", "new"), _REMOVE_HIDDEN + _ADD_PUBLIC)}
"""

_AUDIT_LOG = """
CREATE FUNCTION recognition_audit_is_append_only() RETURNS trigger
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
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON recognition_auditevent
    FOR EACH ROW EXECUTE FUNCTION recognition_audit_is_append_only();
CREATE TRIGGER audit_not_truncated BEFORE TRUNCATE ON recognition_auditevent
    FOR EACH STATEMENT EXECUTE FUNCTION recognition_audit_is_append_only();
"""

# After the insertion and not before it: a request that creates a user at the moment of the merge
# waits for the merge on the primary key, and only then looks here. The error is one after which
# the service tries again; then it refuses the request in words.
_MERGED_USERS = """
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

SQL = _LISTINGS + _COUNTS + _PUBLIC_SKETCHES + _AUDIT_LOG + _MERGED_USERS
REVERSE_SQL = """
DROP FUNCTION
    recognition_list(bigint[]), recognition_list_templates(text), recognition_list_anew(),
    recognition_template_added(), recognition_template_removed(),
    recognition_template_truncated(), recognition_template_is_final(),
    recognition_face_changed(), recognition_user_changed(),
    recognition_listing_insert(), recognition_listing_delete(), recognition_listing_update(),
    recognition_gallerycount_added(),
    recognition_listing_public_insert(), recognition_listing_public_delete(),
    recognition_listing_public_update(),
    recognition_audit_is_append_only(), recognition_merged_stay_merged()
CASCADE;
"""
