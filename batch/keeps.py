"""What this app keeps of people: see recognition.privacy.keeping."""

from batch.models import Picture, UnknownFaces, WebhookSecret
from batch.privacy import erasure, export, retention
from recognition.privacy.keeping import KEEPS, Keeps

KEEPS.append(
    Keeps(
        lock=erasure.lock,
        forget=erasure.forget,
        forget_face=erasure.forget_face,
        move_face=erasure.forget_moved_face,
        hand_over=erasure.hand_over,
        sections=export.SECTIONS,
        retain=(
            retention.end_overdue_jobs,
            retention.drop_jobs,
            retention.drop_addresses,
            retention.drop_secrets,
            retention.drop_tasks,
            retention.drop_sessions,
        ),
        sealed=(Picture, UnknownFaces, WebhookSecret),
    )
)
