"""The calls about friends and groups.

Made of the API description by `make docs`: to change it, change the API.
"""

from collections.abc import Iterable

from facesvc.client import answers
from facesvc.client.call import Call, Id, Json, PagedCall, ndjson, part


def list_groups_of_user(
    user_id: Id,
    *,
    cursor: str | None = None,
    page_size: int | None = None,
) -> PagedCall[answers.GroupsJoined, answers.GroupJoined]:
    """List the groups of a user."""
    return PagedCall(
        method="GET",
        path=f"users/{part(user_id)}/groups",
        is_repeatable=True,
        items="groups",
        query={
            "cursor": cursor,
            "page_size": page_size,
        },
    )


def list_friends(
    user_id: Id,
    *,
    cursor: str | None = None,
    page_size: int | None = None,
) -> PagedCall[answers.FriendList, answers.Friend]:
    """List the friends of a user."""
    return PagedCall(
        method="GET",
        path=f"users/{part(user_id)}/friends",
        is_repeatable=True,
        items="friends",
        query={
            "cursor": cursor,
            "page_size": page_size,
        },
    )


def delete_friend(
    other_id: Id,
    user_id: Id,
) -> Call[answers.Unfriended]:
    """End a friendship."""
    return Call(
        method="DELETE",
        path=f"users/{part(user_id)}/friends/{part(other_id)}",
        is_repeatable=True,
    )


def get_friend(
    other_id: Id,
    user_id: Id,
) -> Call[answers.Friend]:
    """Say since when two users have been friends."""
    return Call(
        method="GET",
        path=f"users/{part(user_id)}/friends/{part(other_id)}",
        is_repeatable=True,
    )


def put_friend(
    other_id: Id,
    user_id: Id,
) -> Call[answers.Friend]:
    """Make two users friends."""
    return Call(
        method="PUT",
        path=f"users/{part(user_id)}/friends/{part(other_id)}",
        is_repeatable=True,
    )


def list_groups(
    *,
    cursor: str | None = None,
    page_size: int | None = None,
) -> PagedCall[answers.GroupList, answers.Group]:
    """List all groups."""
    return PagedCall(
        method="GET",
        path="groups",
        is_repeatable=True,
        items="groups",
        query={
            "cursor": cursor,
            "page_size": page_size,
        },
    )


def delete_group(
    name: Id,
) -> Call[answers.GroupDeleted]:
    """Delete a group and its memberships."""
    return Call(
        method="DELETE",
        path=f"groups/{part(name)}",
        is_repeatable=True,
    )


def get_group(
    name: Id,
) -> Call[answers.Group]:
    """Show a group."""
    return Call(
        method="GET",
        path=f"groups/{part(name)}",
        is_repeatable=True,
    )


def put_group(
    name: Id,
) -> Call[answers.Group]:
    """Create a group."""
    return Call(
        method="PUT",
        path=f"groups/{part(name)}",
        is_repeatable=True,
    )


def list_members(
    name: Id,
    *,
    cursor: str | None = None,
    page_size: int | None = None,
) -> PagedCall[answers.MemberList, answers.Member]:
    """List the members of a group."""
    return PagedCall(
        method="GET",
        path=f"groups/{part(name)}/members",
        is_repeatable=True,
        items="members",
        query={
            "cursor": cursor,
            "page_size": page_size,
        },
    )


def delete_member(
    name: Id,
    user_id: Id,
) -> Call[answers.MemberDeleted]:
    """End a membership."""
    return Call(
        method="DELETE",
        path=f"groups/{part(name)}/members/{part(user_id)}",
        is_repeatable=True,
    )


def get_member(
    name: Id,
    user_id: Id,
) -> Call[answers.Member]:
    """Say since when a user has been a member."""
    return Call(
        method="GET",
        path=f"groups/{part(name)}/members/{part(user_id)}",
        is_repeatable=True,
    )


def put_member(
    name: Id,
    user_id: Id,
) -> Call[answers.Member]:
    """Make a user a member of a group."""
    return Call(
        method="PUT",
        path=f"groups/{part(name)}/members/{part(user_id)}",
        is_repeatable=True,
    )


def import_graph(
    lines: bytes | Iterable[Json],
) -> Call[answers.GraphImported]:
    """Load many users, friendships and groups at once."""
    return Call(
        method="POST",
        path="graph",
        is_repeatable=True,
        lines=ndjson(lines),
    )
