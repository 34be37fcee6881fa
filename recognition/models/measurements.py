"""What a pack's scores mean for the people who are enrolled here, and the runs that measure it."""

from django.db import models
from django.db.models import Q


class MeasurementState(models.TextChoices):
    WAITING = "waiting"
    RUNNING = "running"
    MEASURED = "measured"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Measurement(models.Model):
    """A run over the kept pictures, and what it found: see recognition.measuring.here.runs.

    It names nobody: rates, counts, and means over hundreds of people. What was found never changes.
    """

    pack = models.CharField(max_length=40)
    embedding_version = models.CharField(max_length=60)  # of the pack's templates
    state = models.CharField(
        max_length=9, choices=MeasurementState, default=MeasurementState.WAITING
    )
    asked_by = models.CharField(max_length=110)  # an actor: see recognition.audit
    asked_at = models.DateTimeField(auto_now_add=True)
    starts = models.PositiveSmallIntegerField(default=0)
    faces = models.PositiveIntegerField(default=0)  # to be looked at
    seen = models.PositiveIntegerField(default=0)
    began_at = models.DateTimeField(null=True)  # for the last time
    ended_at = models.DateTimeField(null=True)
    problem = models.TextField(blank=True)
    # A Calibration of recognition.inference.pack.declaration.
    calibration = models.JSONField(null=True)
    report = models.JSONField(null=True)  # see recognition.measuring.here.enrolled
    # Its calibration replaces that of pack.yaml.
    in_use = models.BooleanField(default=False)

    class Meta:
        permissions = [
            ("measure_model", "Can measure a model on the people enrolled, and use what was found")
        ]
        # The permission above is the only one that means something.
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=("waiting", "running"), ended_at=None)
                | Q(state__in=("measured", "failed", "cancelled"), ended_at__isnull=False),
                name="measurement_ended_once",
            ),
            models.CheckConstraint(
                condition=Q(state="measured", calibration__isnull=False, report__isnull=False)
                | ~Q(state="measured") & Q(calibration=None, report=None, in_use=False),
                name="measurement_found_when_measured",
            ),
            # Consumer also: the calibration of a pack.
            models.UniqueConstraint(
                fields=["pack"], condition=Q(in_use=True), name="measurement_in_use_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pack} on the people enrolled"

    @property
    def is_open(self) -> bool:
        return self.ended_at is None
