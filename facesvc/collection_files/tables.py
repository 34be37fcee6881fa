"""Which tables of a collection go into a file, in what order, and what of a row is changed.

Each new table has to stand in one of the two lists: a test goes through all models.
"""

from dataclasses import dataclass

from django.db.models import Model

from batch import models as batch
from recognition import models as recognition


@dataclass(frozen=True)
class Table:
    """A table whose rows go into the file.

    `sealed`: its column of that name is opened, and sealed with the keys of the other installation.
    `emptied`: columns whose hashes mean nothing there, since they are made with another secret.
    `only`: the rows that go, as SQL.
    """

    model: type[Model]
    sealed: bool = False
    emptied: tuple[str, ...] = ()
    only: str = ""

    @property
    def name(self) -> str:
        return self.model._meta.db_table

    @property
    def columns(self) -> list[str]:
        return [str(each.column) for each in self.model._meta.concrete_fields]


# Rows before those that refer to them. `recognition_template` has a part of its own in the file,
# after all of these: what it is made of has to be there.
CARRIED: tuple[Table, ...] = (
    Table(recognition.User),
    Table(recognition.MergedUser),
    Table(recognition.Group),
    Table(recognition.Membership),
    Table(recognition.Friendship),
    Table(recognition.Face),
    Table(recognition.FaceCrop, sealed=True),
    Table(recognition.NewFace),
    Table(recognition.PossibleDuplicate),
    Table(recognition.Measurement),
    Table(recognition.Session, emptied=("device",)),
    Table(recognition.Attempt, emptied=("device", "picture_hash", "pixels_hash")),
    # Sources that are a device have its hash in their name.
    Table(recognition.FailureCount, only="source !~ '/[0-9a-f]{32}$'"),
    Table(batch.Job),
    Table(batch.Item),
    Table(batch.UnknownPerson),
    Table(batch.WebhookSecret, sealed=True),
    Table(batch.WebhookEndpoint),
    Table(batch.WebhookDelivery),
    Table(batch.WebhookAttempt),
    Table(recognition.AuditEvent),
    Table(recognition.DailyCount),
)
TEMPLATES = recognition.Template
# Why the rows of the other tables stay.
LEFT: dict[type[Model], str] = {
    recognition.ActiveModel: "has the key of this installation",
    recognition.SketchCentre: "is made of the pack and the key",
    recognition.Sketch: "is made by the database",
    recognition.PublicSketch: "is made by the database",
    recognition.Listing: "is made by the database",
    recognition.GalleryCount: "is made by the database",
    recognition.DuplicateSearch: "is how far a search is",
    recognition.RateWindow: "counts requests of the last hour",
    recognition.IdempotencyKey: "has hashes under the secret of this installation",
    recognition.RecentProbe: "has templates of a day, under the key of this installation",
    batch.Picture: "belongs to a job that is not finished",
    batch.UnknownFaces: "belongs to a job that is not finished",
}
