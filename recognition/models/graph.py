"""The social graph that privacy is filtered by: friendships and groups.

The app that owns the users loads it; nobody can make friends here on their own account.
"""

import unicodedata

from django.db import models
from django.db.models import CASCADE

from recognition.models.people import User

# Words of search_scope.user_groups that are not groups.
RESERVED_NAMES = ("public", "friends")
MAX_NAME_LENGTH = 64


class Friendship(models.Model):
    """One direction of a friendship. There are always two rows, (a, b) and (b, a).

    So one index answers both `are they friends` and `who are my friends`.
    """

    user = models.ForeignKey(User, on_delete=CASCADE, related_name="friendships", db_index=False)
    friend = models.ForeignKey(User, on_delete=CASCADE, related_name="+", db_index=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            # Consumers: the search among friends, the list of friends in its order.
            models.UniqueConstraint(fields=["user", "friend"], name="friendship_once"),
            models.CheckConstraint(
                condition=~models.Q(user=models.F("friend")), name="friendship_of_two"
            ),
        ]
        indexes = [
            # Consumer: erasing a user, who is also the friend of others.
            models.Index(fields=["friend"], name="friendship_by_friend")
        ]

    def __str__(self) -> str:
        return f"{self.user_id} and {self.friend_id}"


class Group(models.Model):
    """A named group of users, who may find one another when a search names it."""

    name = models.CharField(max_length=MAX_NAME_LENGTH)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            # Consumer: every request that names a group. `unique=True` would add an index for LIKE.
            models.UniqueConstraint(fields=["name"], name="group_name_once"),
            models.CheckConstraint(
                condition=~models.Q(name__in=["", *RESERVED_NAMES]), name="group_name_free"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """A user in a group."""

    group = models.ForeignKey(Group, on_delete=CASCADE, related_name="memberships", db_index=False)
    user = models.ForeignKey(User, on_delete=CASCADE, related_name="memberships", db_index=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            # Consumers: the search among the members of groups, the list of members in its order.
            models.UniqueConstraint(fields=["group", "user"], name="membership_once")
        ]
        indexes = [
            # Consumers: the groups of one user, and erasing the user.
            models.Index(fields=["user", "group"], name="membership_by_user")
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.group_id}"


def is_group_name(text: str) -> bool:
    """Whether a group can have this name: 1 to 64 printable characters that fit into a path."""
    return (
        0 < len(text) <= MAX_NAME_LENGTH
        and text.isprintable()
        and text == text.strip()
        and "/" not in text
        # Clients and proxies resolve these in paths.
        and text not in {".", ".."}
        # Two spellings that look the same must not be two groups.
        and unicodedata.is_normalized("NFC", text)
        and text.casefold() not in RESERVED_NAMES
    )
