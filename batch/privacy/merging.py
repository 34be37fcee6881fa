"""When two users become one, the jobs of the one are the other's.

What else names the merged id stays as it is, a picture that waits included: its enrolment answers
user_merged. The erasure of who stays looks for the former ids as well.
"""

from typing import Any
from uuid import UUID

from batch.models import Item, Job
from recognition.models import User
from recognition.privacy import moves


def hand_over(sender: type[User], user_id: UUID, into: UUID, **kwargs: Any) -> None:
    """A receiver of users_merging. The locks in the order of batch.privacy.erasure."""
    own = Item.objects.filter(job__user_id=user_id)
    list(own.select_for_update(of=("self",)).order_by("pk").values_list("pk", flat=True))
    moves.lock_users(user_id, into)
    Job.objects.filter(user_id=user_id).update(user_id=into, subject=str(into))
