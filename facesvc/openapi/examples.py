"""The examples of the API description. They succeed when you send them, and fit together.

A new operation needs its body in BODIES, and its path's parameters in PATH.
"""

import base64
from pathlib import Path
from typing import Any

# Drawn by tests/support/drawn_face.py: it shows no person.
PICTURE = (Path(__file__).parent / "example_face.webp").read_bytes()
_FACE = base64.b64encode(PICTURE).decode()
_USER = "5f4c9c52-6f0b-4f35-9d36-0d9b6bd0a001"
_OTHER = "5f4c9c52-6f0b-4f35-9d36-0d9b6bd0a002"

# Where each id in a path comes from, and an example unless the service makes the id.
PATH: dict[str, tuple[str, str | None]] = {
    "user_id": ("The id that your app gives this user; register and PUT create the user.", _USER),
    "other_id": ("Another user. The example of `POST /graph` creates both.", _OTHER),
    "name": ("The name of a group: `PUT /groups/{name}` creates one.", "hiking"),
    "collection": ("The name of a collection: `POST /collections` makes one.", "shop"),
    "face_id": ("An id from the answer of register or `GET /users/{user_id}/faces`.", None),
    "session_id": ("An id from the answer of `POST /sessions`.", None),
    "duplicate_id": ("An id from the answer of `GET /duplicates`.", None),
    "job_id": ("An id from the answer of batch-register or `GET /batch-jobs`.", None),
}

_CONSENT = {"given_at": "2026-01-20T10:30:00Z", "text_version": "2026-01"}

_WHY = {"reason": "Reported by three people."}

# The JSON body of each operation that has one; forms are filled from it.
BODIES: dict[str, dict[str, Any]] = {
    "register": {
        "user_id": _USER,
        "image": _FACE,
        "face_index": 0,
        "metadata": {"source": "profile", "consent": _CONSENT},
    },
    "register_faces": {
        "image": _FACE,
        "faces": [{"face_index": 0, "user_id": _OTHER, "metadata": {"consent": _CONSENT}}],
    },
    "verify": {"user_id": _USER, "image": _FACE, "verification_level": "standard"},
    "identify": {
        "image": _FACE,
        "on_behalf_of": _USER,
        "search_scope": {"user_groups": ["public", "friends"], "max_candidates": 5},
    },
    "identify_face": {"search_scope": {"user_groups": ["public"], "max_candidates": 5}},
    "detect": {"image": _FACE},
    "compare": {"image_a": _FACE, "image_b": _FACE},
    "put_user": {
        "display_name": "Ann",
        "profile_image": "https://example.com/ann.jpg",
        "privacy_level": "friends",
    },
    "put_face": {"privacy_settings": {"searchable": True, "taggable": "friends_only"}},
    "patch_face": {"face_group": "primary"},
    "suspend_user": _WHY,
    "unsuspend_user": _WHY,
    "unlock_user": _WHY,
    "suspend_face": _WHY,
    "unsuspend_face": _WHY,
    "move_face": {"user_id": _OTHER, "reason": "It shows somebody else."},
    "merge_users": {"into": _OTHER, "reason": "Two accounts of one person."},
    "decide_duplicate": {"decision": "different_people", "reason": "They are twins."},
    "make_collection": {"name": "shop", "rules": {"FACESVC_REQUIRE_CONSENT": True}},
    "change_collection": {"rules": {"FACESVC_REQUIRE_CONSENT": None, "MIN_FACE_QUALITY": 0.7}},
    "open_session": {"user_id": _USER, "purpose": "video_call"},
    "post_frame": {"image": _FACE, "sequence": 1},
    "batch_identify": {
        "images": [{"image_id": "party.jpg", "image": _FACE}],
        "on_behalf_of": _USER,
        "search_scope": {"user_groups": ["public", "friends"]},
        "processing_options": {"async": False},
    },
    "batch_register": {
        "images": [{"image_id": "profile.jpg", "image": _FACE, "user_id": _USER}],
        "processing_options": {"async": True},
    },
}
