"""Counts of each day, for the operators: no person and no picture in them."""

from django.db import models


class CountedKind(models.TextChoices):
    ENROLMENT = "enrolment"
    VERIFICATION = "verification"  # labels: its results
    SEARCH = "search"  # labels: found, not_found, no_face
    REFUSAL = "refusal"  # labels: the codes of errors


class DailyCount(models.Model):
    """How often something happened on a day (UTC); see recognition.daily_counts."""

    day = models.DateField()
    kind = models.CharField(max_length=12, choices=CountedKind)
    label = models.CharField(max_length=40, blank=True)
    count = models.BigIntegerField()

    class Meta:
        constraints = [
            # Consumers: the addition of new counts, the first page of the admin.
            models.UniqueConstraint(fields=["day", "kind", "label"], name="dailycount_once")
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.kind} {self.label}: {self.count}"
