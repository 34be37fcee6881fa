"""Many people with faces, sessions and attempts, made by SQL within seconds."""

from django.db import connection

_STATEMENTS = (
    # A UUID of version 4: one of version 8 is the key of a text.
    """CREATE OR REPLACE FUNCTION pg_temp.person(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS
        $$ SELECT overlay(md5('person ' || n) placing '4' from 13)::uuid $$""",
    """INSERT INTO recognition_user
        (id, display_name, profile_image, privacy_level, suspended_at, created_at, updated_at)
    SELECT pg_temp.person(n), 'Person ' || n || ' ' || substr(md5(n::text), 1, 6), '',
        (ARRAY['public', 'friends', 'private'])[1 + n %% 3],
        CASE WHEN n %% 1000 = 0 THEN now() END, now() - n * interval '1 minute', now()
    FROM generate_series(1, %(people)s) n""",
    """INSERT INTO recognition_face
        (face_id, user_id, face_group, quality_score, quality_components, attributes, metadata,
        searchable, taggable, suspended_at, embedding_version, model_version, verification_count,
        created_at, updated_at)
    SELECT 'face_' || substr(md5('face ' || n), 1, 12), pg_temp.person(n), 'primary',
        0.5 + n %% 50 / 100.0, '{"size": 0.5, "sharpness": 0.3}', '{}', '{}', n %% 100 > 0,
        'everyone', CASE WHEN n %% 500 = 0 THEN now() END, 'none', 'none', 0, now(), now()
    FROM generate_series(1, %(people)s) n""",
    """INSERT INTO recognition_session
        (id, user_id, purpose, level, state, client, device, created_at, expires_at, risk,
        "window", frames, checks)
    SELECT md5('session ' || n)::uuid, pg_temp.person(n), 'login', 'standard',
        'verifying', 'service:app', '', now(), now() + n * interval '1 minute', '{}', '[]', 0, '{}'
    FROM generate_series(1, %(people)s) n""",
    """INSERT INTO recognition_attempt
        (session_id, user_id, source, device, at, result, is_failure, risk_level, factors,
        antispoofing, deepfake, picture_hash, pixels_hash)
    SELECT md5('session ' || n)::uuid, pg_temp.person(n), 'own', '',
        now() - n * interval '1 minute', 'no_match', true, 'low', '[]', '{}', '{}', '', ''
    FROM generate_series(1, %(people)s) n""",
    """INSERT INTO recognition_failurecount
        (user_id, source, failures, parts, locked_at, last_failure_at)
    SELECT pg_temp.person(n), 'own', 1, 0, CASE WHEN n %% 1000 = 1 THEN now() END, now()
    FROM generate_series(1, %(people)s) n""",
    """INSERT INTO recognition_friendship (user_id, friend_id, created_at)
    SELECT a, b, now() FROM (
        SELECT pg_temp.person(1) AS one, pg_temp.person(n) AS other
        FROM generate_series(2, least(%(people)s, 500)) n
    ) pairs CROSS JOIN LATERAL (VALUES (one, other), (other, one)) both_ways (a, b)""",
    """INSERT INTO recognition_possibleduplicate
        (user_a_id, user_b_id, confidence, state, found_at, decided_by)
    SELECT least(a, b), greatest(a, b), 0.97, 'open', now(), ''
    FROM (SELECT pg_temp.person(n) AS a, pg_temp.person(n + 1) AS b
        FROM generate_series(1, %(people)s - 1, 2) n) pairs""",
    """INSERT INTO recognition_auditevent (at, actor, action, user_id, face_id, details)
    SELECT now(), 'service:app', 'face.register', pg_temp.person(n), '', '{}'
    FROM generate_series(1, %(people)s) n""",
)


def make(people: int) -> None:
    """Person 1 has 500 friends; every thousandth person is suspended, every thousandth locked."""
    with connection.cursor() as cursor:
        for statement in _STATEMENTS:
            cursor.execute(statement, {"people": people})
        cursor.execute("ANALYZE")
