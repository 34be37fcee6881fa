"""The calls about sessions.

Made of the API description by `make docs`: to change it, change the API.
"""

from facesvc.client import answers
from facesvc.client.call import Call, Id, Json, Time, id_text, key_or_new, part
from facesvc.client.pictures import Picture


def open_session(
    user_id: Id,
    *,
    idempotency_key: str | None = None,
    purpose: answers.PurposeEnum | None = None,
    verification_level: answers.VerificationLevelEnum | None = None,
    metadata: Json | None = None,
) -> Call[answers.Session]:
    """Open a session for a login or a call."""
    return Call(
        method="POST",
        path="sessions",
        is_repeatable=True,
        headers={
            "Idempotency-Key": key_or_new(idempotency_key),
        },
        body={
            "user_id": id_text(user_id),
            "purpose": purpose,
            "verification_level": verification_level,
            "metadata": metadata,
        },
    )


def end_session(
    session_id: Id,
) -> Call[answers.Session]:
    """End a session."""
    return Call(
        method="DELETE",
        path=f"sessions/{part(session_id)}",
        is_repeatable=True,
    )


def get_session(
    session_id: Id,
) -> Call[answers.SessionWithAttempts]:
    """Show a session and its last attempts."""
    return Call(
        method="GET",
        path=f"sessions/{part(session_id)}",
        is_repeatable=True,
    )


def post_frame(
    session_id: Id,
    image: Picture,
    *,
    sequence: int | None = None,
    captured_at: Time | None = None,
) -> Call[answers.FrameTaken]:
    """Check a frame of a call."""
    return Call(
        method="POST",
        path=f"sessions/{part(session_id)}/frames",
        is_repeatable=False,
        form={
            "sequence": sequence,
            "captured_at": captured_at,
        },
        pictures={
            "image": image,
        },
    )
