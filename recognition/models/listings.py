"""What a search reads, kept by the database itself: see recognition.migrations."""

from django.db import models
from pgvector.django import BitField, HalfVectorField

from recognition.models.people import by_user


class SketchCentre(models.Model):
    """Around what the sketches of a template version are taken: about the mean of all people.

    The centre is never changed or deleted: the stored sketches would no longer be comparable with
    new ones.
    """

    embedding_version = models.CharField(max_length=60, primary_key=True)
    centre = HalfVectorField(dimensions=512)
    # As many templates as any user has, or has had. Raised by the database with each listing.
    most_faces = models.PositiveIntegerField(default=1, db_default=1)

    def __str__(self) -> str:
        return self.embedding_version


class AnySketch(models.Model):
    """The signs of a template around the centre of its version.

    Alone in a row, since some searches go past all of them. Written with the listing.
    """

    template = models.OneToOneField(
        "recognition.Template",
        primary_key=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
    )
    bits = BitField(length=512)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"sketch of {self.template_id}"


class Sketch(AnySketch):
    """The ids of all templates."""


class PublicSketch(AnySketch):
    """Once more of those that every viewer may find: fewer to go past."""


class Listing(models.Model):
    """What the privacy rule has to know about a template, in one narrow row.

    Written, changed and removed by the database, together with the template, its face and its
    user: see recognition.migrations. Nothing else writes here.
    """

    template = models.OneToOneField(
        "recognition.Template",
        primary_key=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        related_name="listing",
    )
    embedding_version = models.CharField(max_length=60)
    user = models.ForeignKey(
        "recognition.User",
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,  # listing_of_user
        related_name="listings",
    )
    privacy_level = models.CharField(max_length=10)  # of the user
    suspended = models.BooleanField()  # the user or the face
    searchable = models.BooleanField()
    taggable = models.CharField(max_length=12)

    class Meta:
        indexes = [
            # Consumer: the search where few are public, recognition.gallery.plans.OWNERS.
            models.Index(
                fields=["user"],
                name="listing_of_public",
                condition=models.Q(privacy_level="public", searchable=True, suspended=False),
            ),
            # Consumers: Gallery.visible_to, which counts who is in a relation with the viewer; the
            # comparison with one user.
            by_user("listing_of_user"),
        ]

    def __str__(self) -> str:
        return f"listing of {self.template_id}"


class GalleryCount(models.Model):
    """How many listings there are of each kind: the sums of `templates`, which may be negative.

    Written by the database with every change. Rows are only added, so that nobody waits for
    anybody's counter, and summed up from time to time.
    """

    embedding_version = models.CharField(max_length=60)
    privacy_level = models.CharField(max_length=10)  # of the user
    taggable = models.CharField(max_length=12)  # of the face
    shown = models.BooleanField()  # searchable and not suspended
    templates = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.templates:+} {self.embedding_version} {self.privacy_level}"
