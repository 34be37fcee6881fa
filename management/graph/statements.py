"""The statements that load a graph, in the order of their use; the ORM cannot express them.

All lock rows in the order of their unique keys, as management.friendships does.
"""

from dataclasses import dataclass

LINES = """
CREATE TEMPORARY TABLE graph_line (
    number bigint, kind text, removed boolean, user_id uuid, friend_id uuid, group_name text,
    display_name text, profile_image text, privacy_level text
) ON COMMIT DROP
"""

# --- users and groups -----------------------------------------------------------------------------

# One row for each user, with the last value given for each field.
MERGE_USERS = """
CREATE TEMPORARY TABLE graph_user ON COMMIT DROP AS
SELECT user_id AS id,
    (array_agg(display_name ORDER BY number DESC) FILTER (WHERE display_name IS NOT NULL))[1]
        AS display_name,
    (array_agg(profile_image ORDER BY number DESC) FILTER (WHERE profile_image IS NOT NULL))[1]
        AS profile_image,
    (array_agg(privacy_level ORDER BY number DESC) FILTER (WHERE privacy_level IS NOT NULL))[1]
        AS privacy_level
FROM graph_line WHERE kind = 'user' GROUP BY user_id
"""
CREATE_USERS = """
INSERT INTO recognition_user
    (id, display_name, profile_image, privacy_level, created_at, updated_at)
SELECT id, coalesce(display_name, ''), coalesce(profile_image, ''),
    coalesce(privacy_level, %(privacy_level)s), now(), now()
FROM graph_user ORDER BY id
ON CONFLICT (id) DO NOTHING
"""
# Users that were just created do not differ.
CHANGE_USERS = """
WITH changed AS MATERIALIZED (
    SELECT u.id, coalesce(g.display_name, u.display_name) AS display_name,
        coalesce(g.profile_image, u.profile_image) AS profile_image,
        coalesce(g.privacy_level, u.privacy_level) AS privacy_level
    FROM graph_user g JOIN recognition_user u ON u.id = g.id
    WHERE g.display_name <> u.display_name OR g.profile_image <> u.profile_image
        OR g.privacy_level <> u.privacy_level
    ORDER BY u.id FOR NO KEY UPDATE OF u
)
UPDATE recognition_user u SET display_name = c.display_name, profile_image = c.profile_image,
    privacy_level = c.privacy_level, updated_at = now()
FROM changed c WHERE u.id = c.id
"""
CREATE_GROUPS = """
INSERT INTO recognition_group (name, created_at)
SELECT DISTINCT group_name, now() FROM graph_line WHERE kind = 'group' ORDER BY group_name
ON CONFLICT (name) DO NOTHING
"""

# --- who must exist -------------------------------------------------------------------------------

# Locked as foreign keys lock them, so that no user found here is erased before the end.
UNKNOWN_GROUPS = """
WITH named AS MATERIALIZED (
    SELECT group_name AS name, min(number) AS number FROM graph_line
    WHERE kind = 'membership' AND NOT removed GROUP BY group_name
), known AS MATERIALIZED (
    SELECT g.name FROM recognition_group g JOIN named n ON n.name = g.name
    ORDER BY g.name FOR KEY SHARE OF g
)
SELECT number, name FROM named n WHERE NOT EXISTS (SELECT FROM known k WHERE k.name = n.name)
ORDER BY number LIMIT %(limit)s
"""
UNKNOWN_USERS = """
WITH named AS MATERIALIZED (
    SELECT id, min(number) AS number FROM (
        SELECT user_id AS id, number FROM graph_line
        WHERE kind IN ('friendship', 'membership') AND NOT removed
        UNION ALL
        SELECT friend_id, number FROM graph_line WHERE kind = 'friendship' AND NOT removed
    ) mentioned GROUP BY id
), known AS MATERIALIZED (
    SELECT u.id FROM recognition_user u JOIN named n ON n.id = u.id
    ORDER BY u.id FOR KEY SHARE OF u
)
SELECT number, id::text FROM named n WHERE NOT EXISTS (SELECT FROM known k WHERE k.id = n.id)
ORDER BY number LIMIT %(limit)s
"""

MERGED_USERS = """
SELECT min(number), id::text FROM (
    SELECT user_id AS id, number FROM graph_line WHERE NOT removed
    UNION ALL
    SELECT friend_id, number FROM graph_line WHERE NOT removed
) named
JOIN recognition_mergeduser USING (id) GROUP BY id ORDER BY 1 LIMIT %(limit)s
"""

# --- friendships and memberships ------------------------------------------------------------------


@dataclass(frozen=True)
class Links:
    """How to store one kind of links, from a table with the last line about each link."""

    last_lines: str  # columns place (from 1), a, b, removed
    remove: str
    create: str
    rows: int  # rows that store one link


FRIENDSHIPS = Links(
    last_lines="""
CREATE TEMPORARY TABLE graph_friendship ON COMMIT DROP AS
SELECT row_number() OVER () AS place, * FROM (
    SELECT DISTINCT ON (user_id, friend_id) user_id AS a, friend_id AS b, removed
    FROM graph_line WHERE kind = 'friendship' ORDER BY user_id, friend_id, number DESC
) last_lines
""",
    remove="""
WITH gone AS MATERIALIZED (
    SELECT f.id FROM graph_friendship g
    CROSS JOIN LATERAL (VALUES (g.a, g.b), (g.b, g.a)) AS r (user_id, friend_id)
    JOIN recognition_friendship f ON f.user_id = r.user_id AND f.friend_id = r.friend_id
    WHERE g.removed AND g.place BETWEEN %(first)s AND %(last)s
    ORDER BY f.user_id, f.friend_id FOR UPDATE OF f
)
DELETE FROM recognition_friendship f USING gone WHERE f.id = gone.id
""",
    create="""
INSERT INTO recognition_friendship (user_id, friend_id, created_at)
SELECT r.user_id, r.friend_id, now() FROM graph_friendship g
CROSS JOIN LATERAL (VALUES (g.a, g.b), (g.b, g.a)) AS r (user_id, friend_id)
WHERE NOT g.removed AND g.place BETWEEN %(first)s AND %(last)s
ORDER BY r.user_id, r.friend_id
ON CONFLICT (user_id, friend_id) DO NOTHING
""",
    rows=2,
)
MEMBERSHIPS = Links(
    last_lines="""
CREATE TEMPORARY TABLE graph_membership ON COMMIT DROP AS
SELECT row_number() OVER () AS place, * FROM (
    SELECT DISTINCT ON (group_name, user_id) group_name AS a, user_id AS b, removed
    FROM graph_line WHERE kind = 'membership' ORDER BY group_name, user_id, number DESC
) last_lines
""",
    remove="""
WITH gone AS MATERIALIZED (
    SELECT m.id FROM graph_membership l JOIN recognition_group g ON g.name = l.a
    JOIN recognition_membership m ON m.group_id = g.id AND m.user_id = l.b
    WHERE l.removed AND l.place BETWEEN %(first)s AND %(last)s
    ORDER BY m.group_id, m.user_id FOR UPDATE OF m
)
DELETE FROM recognition_membership m USING gone WHERE m.id = gone.id
""",
    create="""
INSERT INTO recognition_membership (group_id, user_id, created_at)
SELECT g.id, l.b, now() FROM graph_membership l JOIN recognition_group g ON g.name = l.a
WHERE NOT l.removed AND l.place BETWEEN %(first)s AND %(last)s
ORDER BY g.id, l.b
ON CONFLICT (group_id, user_id) DO NOTHING
""",
    rows=1,
)
