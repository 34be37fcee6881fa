"""Who may do what: every method of every route of the API, and what each kind of caller is told.

A method that is not named here does not exist: tests/api/test_routes.py compares with the resolver
and with the API description.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.support.builders import PICTURE, PICTURE_BASE64

# What the paths and bodies are filled in with; see tests/api/test_routes.py.
Ids = dict[str, str]
Body = Callable[[Ids], dict[str, Any] | bytes | None]


def nothing(ids: Ids) -> None:
    return None


@dataclass(frozen=True)
class Row:
    """A request about what belongs to one user, with the answer that each caller gets: a status, or
    the status and code of a refusal.

    `other` is another end user, `own` the user, both with all scopes but face:admin; `service` has
    the same scopes, and `admin` is a service with all.
    """

    method: str
    path: str
    scope: str  # several with blanks between: all are needed
    other: str
    own: str
    service: str
    admin: str
    body: Body = nothing
    content_type: str = "application/json"

    @property
    def expected(self) -> dict[str, str]:
        return {name: getattr(self, name) for name in ("other", "own", "service", "admin")}


def _picture(**more: Any) -> Body:
    return lambda ids: {"image": PICTURE_BASE64, **more}


def _of_user(**more: Any) -> Body:
    return lambda ids: {"user_id": ids["user_id"], **more}


def _for_viewer(ids: Ids) -> dict[str, Any]:
    return {"image": PICTURE_BASE64, "on_behalf_of": ids["user_id"]}


def _of_group_photo(ids: Ids) -> dict[str, Any]:
    faces = [{"face_index": 0, "user_id": ids["user_id"]}]
    return {"image": PICTURE_BASE64, "faces": faces}


def _batch_for_viewer(ids: Ids) -> dict[str, Any]:
    pictures = [{"image_id": "a", "image": PICTURE_BASE64}]
    return {"images": pictures, "on_behalf_of": ids["user_id"]}


def _batch_of_everyone(ids: Ids) -> dict[str, Any]:
    pictures = [{"image_id": "a", "image": PICTURE_BASE64}]
    return {"images": pictures, "search_scope": {"scope": "all"}}


def _batch_to_group(ids: Ids) -> dict[str, Any]:
    pictures = [{"image_id": "a", "image": PICTURE_BASE64}]
    return {"images": pictures, "processing_options": {"async": True, "group_unknown": True}}


def _batch_to_enrol(ids: Ids) -> dict[str, Any]:
    return {"images": [{"image_id": "a", "image": PICTURE_BASE64, "user_id": ids["user_id"]}]}


def _graph(ids: Ids) -> bytes:
    return json.dumps({"user": {"user_id": ids["user_id"]}}).encode()


def _group(method: str, path: str, own: str = "200") -> Row:
    return _manage(method, path, "404 group_not_found", own, "200")


def _manage(method: str, path: str, other: str, own: str, service: str, **more: Any) -> Row:
    """Of the routes with which a gallery is managed an admin may do what a service may."""
    return Row(method, path, "face:manage", other, own, service, service, **more)


def _verb(path: str, scope: str, other: str, status: str, body: Body, **more: Any) -> Row:
    """The user and whoever acts for the user may."""
    return Row("POST", path, scope, other, status, status, status, body, **more)


_USER, _FACE = "404 user_not_found", "404 face_not_found"
_NOT_YOURS, _SERVICE = "403 not_your_user", "403 service_only"
_SCOPE = "403 insufficient_scope"
# A job belongs to the token's subject: a service sees its own jobs and nobody else's.
_JOB = "404 job_not_found"
_SESSION = "404 session_not_found"


def _moderate(path: str, method: str = "POST", body: Body = nothing) -> Row:
    return Row(method, path, "face:admin", _SCOPE, _SCOPE, _SCOPE, "200", body)


def _of_service(path: str, method: str, status: str = "200", body: Body = nothing) -> Row:
    them = (_SERVICE, _SERVICE, status, status)
    return Row(method, path, "face:collections", *them, body)


ROWS = [
    # the verbs
    _verb("register", "face:register", _NOT_YOURS, "201", _of_user(image=PICTURE_BASE64)),
    _verb("register-faces", "face:register", _NOT_YOURS, "201", _of_group_photo),
    _verb("verify", "face:verify", _NOT_YOURS, "200", _of_user(image=PICTURE_BASE64)),
    _verb("identify", "face:identify", _NOT_YOURS, "200", _for_viewer),
    Row(
        *("POST", "identify", "face:identify", _SCOPE, _SCOPE, _SCOPE, "200"),
        body=_picture(search_scope={"scope": "all"}),
    ),
    _verb("faces/{face_id}/identify", "face:identify", _FACE, "200", lambda ids: {}),
    _verb("detect", "face:identify", "200", "200", _picture()),
    _verb(
        *("compare", "face:verify", "200", "200"),
        body=lambda ids: {"image_a": PICTURE_BASE64, "image_b": PICTURE_BASE64},
    ),
    # users and faces
    _manage("GET", "users", _SERVICE, _SERVICE, "200"),
    _manage("GET", "users/{user_id}", _USER, "200", "200"),
    _manage("PUT", "users/{user_id}", _NOT_YOURS, "200", "200", body=lambda ids: {}),
    _manage("DELETE", "users/{user_id}", _USER, "200", "200"),
    _manage("GET", "users/{user_id}/faces", _USER, "200", "200"),
    _manage("GET", "faces", _SERVICE, _SERVICE, "200"),
    _manage("GET", "faces/{face_id}", _FACE, "200", "200"),
    _manage("GET", "faces/{face_id}/crop", _FACE, "200", "200"),
    _manage("PUT", "faces/{face_id}", _FACE, "200", "200", body=lambda ids: {}),
    _manage("PATCH", "faces/{face_id}", _FACE, "200", "200", body=lambda ids: {}),
    _manage("DELETE", "faces/{face_id}", _FACE, "200", "200"),
    _manage("GET", "models", "200", "200", "200"),
    # friends and groups: only services make them, so that nobody befriends whom they like
    _manage("GET", "users/{user_id}/friends", _USER, "200", "200"),
    _manage("GET", "users/{user_id}/friends/{other_id}", _USER, "200", "200"),
    _manage("PUT", "users/{user_id}/friends/{other_id}", _USER, _SERVICE, "200"),
    _manage("DELETE", "users/{user_id}/friends/{other_id}", _USER, "200", "200"),
    _manage("GET", "users/{user_id}/groups", _USER, "200", "200"),
    _manage("GET", "groups", _SERVICE, _SERVICE, "200"),
    _group("GET", "groups/{name}"),
    _group("PUT", "groups/{name}", own=_SERVICE),
    _group("DELETE", "groups/{name}", own=_SERVICE),
    _group("GET", "groups/{name}/members"),
    _group("GET", "groups/{name}/members/{user_id}"),
    _group("PUT", "groups/{name}/members/{user_id}", own=_SERVICE),
    _group("DELETE", "groups/{name}/members/{user_id}"),
    _manage(
        *("POST", "graph", _SERVICE, _SERVICE, "200"),
        body=_graph,
        content_type="application/x-ndjson",
    ),
    # moderation: services with face:admin
    _moderate("users/{user_id}/suspend"),
    _moderate("users/{user_id}/unsuspend"),
    _moderate("users/{user_id}/unlock"),
    _moderate("users/{user_id}/merge", body=lambda ids: {"into": ids["other_id"]}),
    _moderate("faces/{face_id}/suspend"),
    _moderate("faces/{face_id}/unsuspend"),
    _moderate("faces/{face_id}/move", body=lambda ids: {"user_id": ids["other_id"]}),
    _moderate("duplicates", method="GET"),
    _moderate("duplicates/{duplicate_id}", body=lambda ids: {"decision": "same_person"}),
    _moderate("audit", method="GET"),
    # collections: services of `default`
    _of_service("collections", "GET"),
    _of_service("collections", "POST", "201", lambda ids: {"name": "another"}),
    _of_service("collections/{collection}", "GET"),
    _of_service("collections/{collection}", "PATCH", body=lambda ids: {"suspended": True}),
    _of_service("collections/{collection}", "DELETE"),
    # sessions
    _verb("sessions", "face:verify", _NOT_YOURS, "201", _of_user()),
    Row("GET", "sessions/{session_id}", "face:verify", _SESSION, "200", "200", "200"),
    Row("DELETE", "sessions/{session_id}", "face:verify", _SESSION, "200", "200", "200"),
    _verb(
        *("sessions/{session_id}/frames", "face:verify", _SESSION, "200"),
        body=lambda ids: PICTURE,
        content_type="image/png",
    ),
    # batches
    _verb("batch-identify", "face:identify face:batch", _NOT_YOURS, "200", _batch_for_viewer),
    Row(
        *("POST", "batch-identify", "face:identify face:batch", _SCOPE, _SCOPE, _SCOPE, "200"),
        body=_batch_of_everyone,
    ),
    _verb("batch-register", "face:register face:batch", _NOT_YOURS, "202", _batch_to_enrol),
    Row("GET", "batch-jobs", "face:batch", "200", "200", "200", "200"),
    Row("GET", "batch-jobs/{job_id}", "face:batch", _JOB, "200", _JOB, _JOB),
    Row("GET", "batch-jobs/{job_id}/results", "face:batch", _JOB, "200", _JOB, _JOB),
    Row("GET", "batch-jobs/{job_id}/unknown-people", "face:batch", _JOB, "200", _JOB, _JOB),
    Row(
        *("POST", "batch-identify", "face:identify face:batch"),
        *(_SERVICE, _SERVICE, "202", "202"),
        body=_batch_to_group,
    ),
    Row("POST", "batch-jobs/{job_id}/cancel", "face:batch", _JOB, "200", _JOB, _JOB),
]

# Whose token is a setting: tests/api/service/test_metrics.py has who may.
METRICS = "metrics"
# Signed with an access key: tests/facesvc/aws has who may.
AWS = {"aws", "aws/"}
# Of nobody in particular: probes, the page and the API description. They answer without a token.
OPEN = {"", "health", "health/live", "health/ready", "api/schema", "api/docs", "api/docs/", "docs"}
