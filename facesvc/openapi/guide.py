"""The texts of the API description before and beside its operations."""

from facesvc.http.error_codes import (
    BATCH,
    CODES,
    COLLECTIONS,
    EVERYWHERE,
    FACE,
    GRAPH,
    MODERATION,
    PICTURE,
    SESSION,
    STORED,
    table,
)

_START = """\
Self-hosted face recognition: enrol faces, verify a person (1:1), find people (1:N).

**To try it on this page**, press *Authorize* and paste a token; the page keeps it in this browser
until *Logout*. `make run` prints one, and this makes one:

    facesvc issue_token --service my-app \\
        --scope "face:register face:verify face:identify face:manage face:batch"

Then open an operation and press *Execute*. Operations with pictures take a form with files, JSON
with base64, or the bare picture: choose below the operation's parameters. The examples in JSON
carry a small photo and can be sent as they are, from the top to the bottom.

Every answer is `{"success": true, "data", "metadata"}`, or a refusal,
`{"success": false, "error": {"code", "message", "details"}, "metadata"}`. Programs decide by
`code`. Each operation lists the codes of its kind under *default*. Any operation may also answer
these:
"""


def text() -> str:
    """The introduction of the page, in Markdown."""
    return "\n".join([_START, *map(_folded, EVERYWHERE)])


def _folded(topic: str) -> str:
    return f"<details><summary>{topic}</summary>\n\n{table(topic)}\n\n</details>\n"


# In the order of the page: the purpose of each kind of operation, and the topic of its codes.
_KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "recognition": ("Enrol, verify, identify, detect, compare.", (FACE, STORED, SESSION)),
    "users and faces": ("What is stored of people, and its erasure.", (FACE, STORED)),
    "friends and groups": ("Who may find and tag which people.", (STORED, GRAPH)),
    "sessions": ("Log in by face, and check who is on a call.", (STORED, SESSION)),
    "batches": ("Many pictures in one request.", (BATCH,)),
    "models": ("Which model answers, and what its scores mean.", ()),
    "moderation": (
        "Suspend, merge, unlock, decide duplicates, read the audit log.",
        (STORED, MODERATION),
    ),
    "collections": ("Galleries that know nothing of each other.", (COLLECTIONS,)),
}
TAGS = [{"name": name, "description": about} for name, (about, _) in _KINDS.items()]


def refusals(tag: str, *, has_pictures: bool) -> str:
    """Lists the codes of one kind of operation in Markdown."""
    topics = (PICTURE, *_KINDS[tag][1]) if has_pictures else _KINDS[tag][1]
    lines = [
        f"- `{code}` ({each.status}): {each.meaning}"
        for code, each in CODES.items()
        if each.topic in topics
    ]
    return "\n".join(["`error.code` says what was wrong. Operations of this kind have:\n", *lines])
