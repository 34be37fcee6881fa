"""The log of who did what."""

from django.db import models


class AuditEvent(models.Model):
    """Who did what, and to which user; holds no biometric data. Written by recognition.audit.

    Append-only: triggers refuse changes and deletions, but for the purge of what is old and for
    `details`, `face_id` and `other_user_id` about somebody who was erased
    (recognition.privacy.erasure).
    """

    at = models.DateTimeField(auto_now_add=True)
    actor = models.CharField(max_length=110)  # see recognition.audit
    action = models.CharField(max_length=40)
    # No foreign keys: the log outlives what it speaks of.
    user_id = models.UUIDField(null=True)
    other_user_id = models.UUIDField(null=True)  # the second one of a merge or a move
    viewer_id = models.UUIDField(null=True)  # on whose behalf
    face_id = models.CharField(max_length=17, blank=True)
    request_id = models.CharField(max_length=128, blank=True, db_default="")
    details = models.JSONField(default=dict)

    class Meta:
        verbose_name, verbose_name_plural = "event", "audit log"
        indexes = [
            # Consumers: the history of one person, GET /audit?user_id=.
            models.Index(fields=["user_id", "id"], name="audit_of_user"),
            # Consumers: the same, and the erasure of the second one.
            models.Index(
                fields=["other_user_id", "id"],
                condition=models.Q(other_user_id__isnull=False),
                name="audit_of_other_user",
            ),
            # Consumer: GET /audit?action=.
            models.Index(fields=["action", "id"], name="audit_of_action"),
            # Consumer: purge.
            models.Index(fields=["at"], name="audit_age"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor} {self.action}"
