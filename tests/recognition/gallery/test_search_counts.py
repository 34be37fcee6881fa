"""Listings and counts follow every change of templates, faces and users."""

from io import StringIO
from threading import Thread
from uuid import UUID

import numpy as np
import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.db.models import Sum
from django.utils import timezone

from recognition.gallery import indexes
from recognition.models import (
    Face,
    GalleryCount,
    Listing,
    PublicSketch,
    Sketch,
    SketchCentre,
    Template,
    User,
)
from recognition.privacy.keeping import move_faces
from tests.support.builders import FRIEND, OWNER, make_face, make_templates, make_user, vector

pytestmark = pytest.mark.django_db


def counted() -> dict[tuple[str, str, bool], int]:
    """By the kept counts; that the public sketches are in order is looked at on the way."""
    public = Listing.objects.filter(privacy_level="public", searchable=True, suspended=False)
    sketches = Sketch.objects.filter(pk__in=public.values("pk"))
    kept = PublicSketch.objects.order_by("pk").values_list("pk", "bits")
    assert list(kept) == list(sketches.order_by("pk").values_list("pk", "bits"))
    rows = GalleryCount.objects.values_list("privacy_level", "taggable", "shown")
    sums = rows.annotate(sum=Sum("templates")).order_by()
    return {(level, taggable, shown): n for level, taggable, shown, n in sums if n}


def there() -> dict[tuple[str, str, bool], int]:
    """The same, counted from users and faces."""
    counts: dict[tuple[str, str, bool], int] = {}
    for template in Template.objects.select_related("face", "user"):
        face, user = template.face, template.user
        shown = face.searchable and not face.suspended_at and not user.suspended_at
        key = (user.privacy_level, face.taggable, shown)
        counts[key] = counts.get(key, 0) + 1
    return counts


def test_a_new_template_is_listed_by_keys() -> None:
    """A connection that saw the tables when they were empty does so, too."""
    tables = ["recognition_template", "recognition_face", "recognition_user"]

    def rows_read() -> int:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT sum(seq_tup_read + idx_tup_fetch) FROM pg_stat_xact_user_tables"
                " WHERE relname = ANY(%s)",
                [tables],
            )
            (count,) = cursor.fetchone()
        return int(count)

    with connection.cursor() as cursor:
        # Files of their own: in those with dead rows of other tests PostgreSQL would expect none.
        cursor.execute(f"TRUNCATE {', '.join(tables)} CASCADE")
        cursor.execute(f"ANALYZE {', '.join(tables)}")
    people = [make_user(UUID(int=number), "public") for number in range(300)]
    make_face(people[0], vector(0))
    make_templates([(user, vector(1), "") for user in people])
    before = rows_read()
    make_face(people[0], vector(2))
    assert rows_read() - before < 20
    assert counted() == there() == {("public", "everyone", True): 302}


def test_plans_are_kept_for_one_template_in_a_large_gallery() -> None:
    """No setting of the trigger outlives it."""
    analyse = "ANALYZE recognition_template, recognition_face, recognition_user"
    person = make_user(OWNER)
    make_face(person, vector(0))
    with connection.cursor() as cursor:
        cursor.execute(analyse)
        cursor.execute(
            "CREATE TEMP TABLE seen (mode text);"
            "CREATE FUNCTION pg_temp.see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " INSERT INTO seen SELECT current_setting('plan_cache_mode'); RETURN NULL; END $$;"
            "CREATE TRIGGER see AFTER INSERT ON recognition_listing"
            " FOR EACH STATEMENT EXECUTE FUNCTION pg_temp.see()"
        )
        make_face(person, vector(1))
        people = User.objects.bulk_create([User() for _ in range(1000)])
        make_templates([(user, vector(1), "") for user in people])
        cursor.execute(analyse)
        make_face(person, vector(2))
        make_templates([(person, vector(3), ""), (person, vector(4), "")])
        cursor.execute("SELECT mode FROM seen")
        custom, generic = ("force_custom_plan",), ("force_generic_plan",)
        assert cursor.fetchall() == [custom, custom, generic, custom]
        cursor.execute(
            "SELECT current_setting('plan_cache_mode'), current_setting('enable_seqscan')"
        )
        assert cursor.fetchone() == ("auto", "on")


def test_counts_follow_every_change() -> None:
    owner, friend = make_user(OWNER, "public"), make_user(FRIEND)
    faces = [make_face(user, vector(n)) for n, user in enumerate([owner, owner, friend])]
    assert (
        counted() == there() == {("public", "everyone", True): 2, ("friends", "everyone", True): 1}
    )
    Face.objects.filter(pk=faces[0].pk).update(searchable=False, taggable="nobody")
    User.objects.filter(pk=FRIEND).update(privacy_level="public")
    assert counted() == there()
    User.objects.filter(pk=OWNER).update(suspended_at=timezone.now())
    assert counted() == there()
    Face.objects.filter(pk=faces[0].pk).update(suspended_at=timezone.now(), searchable=True)
    User.objects.filter(pk=OWNER).update(suspended_at=None)
    assert counted() == there()
    faces[1].delete()
    assert counted() == there()
    owner.delete()
    assert counted() == there() == {("public", "everyone", True): 1}
    assert (Listing.objects.count(), Sketch.objects.count()) == (1, 1)


@pytest.mark.slow
def test_counts_are_summed_up_from_time_to_time() -> None:
    owner = make_user(OWNER)
    make_face(owner, vector(1))
    for _ in range(600):
        for level in ("public", "friends"):
            User.objects.filter(pk=OWNER).update(privacy_level=level)
    # Never in 1,200 tries has a chance of 6 in a million.
    assert GalleryCount.objects.count() < 2400
    assert counted() == there()


def test_a_change_of_many_is_counted_at_once() -> None:
    """Not row by row, which takes longer the more rows a transaction has changed."""
    users = [make_user(UUID(int=n)) for n in range(1, 201)]
    make_templates([(user, vector(1), "") for user in users])
    before = GalleryCount.objects.count()
    User.objects.update(privacy_level="public")
    Face.objects.update(searchable=False)
    assert GalleryCount.objects.count() <= before + 4
    assert counted() == there() == {("public", "everyone", False): 200}


def test_what_is_truncated_is_not_listed() -> None:
    make_face(make_user(OWNER), vector(1))
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; TRUNCATE recognition_user CASCADE")
    assert (Listing.objects.count(), Sketch.objects.count(), counted()) == (0, 0, {})


def test_a_template_is_never_changed() -> None:
    make_face(make_user(OWNER), vector(1))
    with pytest.raises(DatabaseError, match="never changed"), transaction.atomic():
        Template.objects.update(model_version="other")


def test_everything_can_be_listed_anew() -> None:
    make_face(make_user(OWNER, "public"), vector(1))
    make_face(make_user(FRIEND), vector(2), searchable=False)
    right = counted(), list(Listing.objects.order_by("pk").values())
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM recognition_listing; DELETE FROM recognition_sketch")
    assert counted() == {}
    call_command("list_anew", stdout=StringIO())
    assert (counted(), list(Listing.objects.order_by("pk").values())) == right
    assert Sketch.objects.count() == 2


def test_a_listing_that_failed_is_made_again() -> None:
    """The centre and the listings around it are there together or not at all."""
    make_face(make_user(OWNER), vector(1))
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM recognition_listing; DELETE FROM recognition_sketch")
        SketchCentre.objects.all().delete()
        cursor.execute("ALTER TABLE recognition_sketch RENAME TO mislaid")
        with pytest.raises(DatabaseError), transaction.atomic():
            indexes.sketch("dlib_v1", np.zeros(512, np.float32))
        assert not SketchCentre.objects.exists()
        cursor.execute("ALTER TABLE mislaid RENAME TO recognition_sketch")
    indexes.sketch("dlib_v1", np.zeros(512, np.float32))
    assert (Listing.objects.count(), Sketch.objects.count()) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_two_changes_at_once_are_both_counted() -> None:
    """A face is deleted, and one hidden, while their users go public and back."""
    users = [make_user(UUID(int=n)) for n in range(1, 5)]
    faces = make_templates([(user, vector(n), "") for n, user in enumerate(users * 5)])

    def change_users() -> None:
        for level in ["private", "public"] * 20:
            for user in users:
                User.objects.filter(pk=user.pk).update(privacy_level=level)
        connection.close()

    def change_faces() -> None:
        for number, face in enumerate(faces):
            if number % 2:
                Face.objects.get(pk=face.pk).delete()
            else:
                Face.objects.filter(pk=face.pk).update(searchable=False)
        connection.close()

    threads = [Thread(target=change_users), Thread(target=change_faces)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted() == there() == {("public", "everyone", False): 10}


# --- the most faces of one user -------------------------------------------------------------------


def most_faces(version: str = "dlib_v1") -> int:
    return SketchCentre.objects.get(pk=version).most_faces


def test_the_most_faces_of_one_user_are_known() -> None:
    owner, friend = make_user(OWNER), make_user(FRIEND)
    faces = [make_face(owner, vector(1))]
    assert most_faces() == 1
    faces.append(make_face(owner, vector(2)))
    make_face(friend, vector(3))
    assert most_faces() == 2
    make_templates([(user, vector(n), "") for n in range(4, 7) for user in (owner, friend)])
    assert most_faces() == 5
    faces[0].delete()
    assert most_faces() == 5  # too many make a search slower, and never wrong
    move_faces(friend.faces.values_list("pk", flat=True), owner.pk)
    assert most_faces() == 8
    owner.delete()
    call_command("list_anew", stdout=StringIO())
    assert most_faces() == 1
    make_face(friend, vector(1))
    make_face(friend, vector(2))
    call_command("list_anew", stdout=StringIO())
    assert most_faces() == 2


def test_the_versions_of_templates_are_not_mixed() -> None:
    indexes.sketch("other_v1", np.zeros(512, np.float32))
    owner = make_user(OWNER)
    face = make_face(owner, vector(1))
    make_face(owner, vector(2), version="other_v1")
    Template.objects.create(
        face=face, user=owner, embedding_version="other_v1", embedding=[0.0] * 512
    )
    assert (most_faces(), most_faces("other_v1")) == (1, 2)


@pytest.mark.django_db(transaction=True)
def test_faces_that_are_enrolled_at_once_are_all_counted() -> None:
    indexes.sketch("dlib_v1", np.zeros(512, np.float32))

    def enrol(user: User) -> None:
        for number in range(5):
            make_face(user, vector(number))
        connection.close()

    owner, friend = make_user(OWNER), make_user(FRIEND)
    threads = [Thread(target=enrol, args=(user,)) for user in [owner, friend, owner, friend, owner]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most_faces() == 15


def test_a_template_without_a_centre_is_refused() -> None:
    face = make_face(make_user(OWNER), vector(1))
    with pytest.raises(Exception, match="unknown_v1 has no sketch centre"), transaction.atomic():
        Template.objects.create(
            face=face, user=face.user, embedding_version="unknown_v1", embedding=[0.0] * 512
        )
