"""When two users become one, the jobs of the one are the other's.

What else names the merged id stays as it is, a picture that waits included: its enrolment answers
user_merged. The erasure of who stays looks for the former ids as well.
"""

from uuid import UUID

from batch.models import Job
from batch.privacy.erasure import lock_items_of
from recognition.models import locks


def hand_over(user_id: UUID, into: UUID) -> None:
    """The items are locked before the users, as in an erasure."""
    lock_items_of([user_id])
    locks.lock_entirely(user_id, into)
    Job.objects.filter(user_id=user_id).update(user_id=into, subject=str(into))
