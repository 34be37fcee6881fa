"""The calls about collections.

Made of the API description by `make docs`: to change it, change the API.
"""

from facesvc.client import answers
from facesvc.client.call import Call, Id, Json, PagedCall, id_text, part


def list_collections(
    *,
    cursor: str | None = None,
    page_size: int | None = None,
) -> PagedCall[answers.CollectionList, answers.Collection]:
    """List the collections."""
    return PagedCall(
        method="GET",
        path="collections",
        is_repeatable=True,
        items="collections",
        query={
            "cursor": cursor,
            "page_size": page_size,
        },
    )


def make_collection(
    name: Id,
    *,
    rules: Json | None = None,
) -> Call[answers.Collection]:
    """Make a collection."""
    return Call(
        method="POST",
        path="collections",
        is_repeatable=False,
        body={
            "name": id_text(name),
            "rules": rules,
        },
    )


def erase_collection(
    collection: str,
) -> Call[answers.CollectionErased]:
    """Erase a collection with all that is in it."""
    return Call(
        method="DELETE",
        path=f"collections/{part(collection)}",
        is_repeatable=True,
    )


def get_collection(
    collection: str,
) -> Call[answers.Collection]:
    """Show a collection."""
    return Call(
        method="GET",
        path=f"collections/{part(collection)}",
        is_repeatable=True,
    )


def change_collection(
    collection: str,
    *,
    suspended: bool | None = None,
    rules: Json | None = None,
) -> Call[answers.Collection]:
    """Suspend a collection, resume it, or change its rules."""
    return Call(
        method="PATCH",
        path=f"collections/{part(collection)}",
        is_repeatable=True,
        body={
            "suspended": suspended,
            "rules": rules,
        },
    )
