"""User ids: which texts they are, and that no two of them share a key."""

import copy
import pickle
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, transaction
from hypothesis import given
from hypothesis import strategies as st

from recognition.models import User, user_ids
from recognition.models.user_ids import InvalidUserIdError, UserId
from tests.support.builders import OWNER, make_user

TEXTS = [
    "42",
    "0",
    "-1",
    "me",
    "a",
    "y" * 128,
    "auth0|64f1c0ffee64f1c0ffee64f1",
    "google-oauth2|107691503500065150042",
    "V7xq3mXb0cRk1fQw9uYt2sHn5pL8",
    "eu-west-1:5f4c9c52-6f0b-4f35-9d36-0d9b6bd0a001",
    "Ann.Onym+tag@example.com",
    "https://login.example/people/7?x=1#top",
    "a/b//c/",
    "...",
    "50% off; \\ \"quoted\" 'too'",
    "two words",
    "สมชาย ใจดี",
    "Ægir-ñandú",
    "李明",
    "😀",
    "Ａ",
    "face_0123456789ab",
    "user:5f4c9c52",
    "5f4c9c526f0b4f359d360d9b6bd0a001",
    "NULL",
    "__proto__",
]


@pytest.mark.parametrize("text", TEXTS)
def test_it_works(text: str) -> None:
    user_id = UserId(text)
    assert user_id.text == user_id.given == user_ids.shown(user_id) == text
    assert (user_id.version, user_id.variant) == (8, OWNER.variant)
    assert UserId(text) == user_id and UserId(f"{text}x"[-128:]) != user_id


def test_the_key_of_a_text_never_changes() -> None:
    """It is in databases, backups and audit logs."""
    assert str(UserId("auth0|7")) == "bc8d05db-60be-8860-9782-3759ad34c3e6"
    assert str(UserId("42")) == "4a24570b-18fb-89dd-9a5a-32e43f0cd9f6"


@pytest.mark.parametrize("text", [str(OWNER), str(UUID(int=0)), "f" * 8 + str(OWNER)[8:]])
def test_a_uuid_is_its_own_key(text: str) -> None:
    for spelled in (text, text.upper()):
        user_id = UserId(spelled)
        assert (str(user_id), user_id.text, user_id.given) == (text, text, None)
        assert user_ids.stored(spelled) == (text, None)


def test_a_key_is_nobody_s_id() -> None:
    """Or whoever chooses an id in the app could be somebody else."""
    victim = UserId("victim")
    attacker = UserId(str(victim))
    assert attacker != victim and attacker.text == attacker.given == str(victim)
    assert UserId(str(attacker)) not in (attacker, victim)
    assert user_ids.stored(str(victim).upper()) == (str(attacker), str(victim))


@given(st.uuids() | st.text(min_size=1, max_size=130))
def test_ids_have_one_key_each(value: UUID | str) -> None:
    user_id = user_ids.parsed(str(value))
    if user_id is None:
        return
    assert user_ids.stored(str(value)) == (str(user_id), user_id.given)
    assert UserId(user_id.text) == user_id
    assert UserId.of_row(UUID(int=user_id.int), user_id.given).text == user_id.text
    assert user_ids.is_made(user_id) == (user_id.given is not None)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "1 to 128"),
        ("x" * 129, "1 to 128"),
        (" a", "ends"),
        ("a ", "ends"),
        (" ", "ends"),
        ("a\tb", "printable"),
        ("a\nb", "printable"),
        ("a\0b", "printable"),
        ("a\u00a0b", "printable"),
        ("a\u200bb", "printable"),
        ("a\u200db", "printable"),
        ("a\u202eb", "printable"),
        ("a\ufeffb", "printable"),
        ("a\u00adb", "printable"),
        ("a\ud800b", "printable"),
        ("a\ue000b", "printable"),
        ("a\u3164b", "printable"),
        ("a\u2800b", "printable"),
        ("❤\ufe0f", "printable"),
        ("a\U000e0101", "printable"),
        ("a\ufffdb", "printable"),
        ("e\u0301", "NFC"),
        ("\u212b", "NFC"),
        (".", "`..`"),
        ("..", "`..`"),
        ("a/../b", "`..`"),
        ("./a", "`..`"),
        (f"{{{OWNER}}}", "hyphens"),
        (f"urn:uuid:{OWNER}", "hyphens"),
        (f"URN:UUID:{OWNER}", "hyphens"),
    ],
)
def test_a_text_that_is_no_id(text: str, hint: str) -> None:
    with pytest.raises(InvalidUserIdError, match=hint):
        UserId(text)
    assert user_ids.parsed(text) is None


def test_look_alikes_and_case_are_other_ids() -> None:
    texts = ["ann", "Ann", "аnn", "ａｎｎ", "ann1", "annl"]
    assert len({UserId(text) for text in texts}) == len(texts)


def test_a_copy_has_the_text() -> None:
    user_id = UserId("auth0|7")
    for other in (copy.copy(user_id), copy.deepcopy(user_id), pickle.loads(pickle.dumps(user_id))):
        assert (other, other.text) == (user_id, "auth0|7")


def test_a_key_alone_is_not_shown() -> None:
    with pytest.raises(ValueError, match="not read"):
        user_ids.shown(UUID(str(UserId("auth0|7"))))
    assert user_ids.shown(OWNER) == str(OWNER)


@pytest.mark.parametrize(
    ("text", "is_in"),
    [("enrol-7", True), ("7", True), ("17", False), ("7a", False), ("a_7", False), ("ü7", False)],
)
def test_a_short_id_in_a_text(text: str, is_in: bool) -> None:
    assert user_ids.named_in(text, ["7"]) is is_in


@pytest.mark.django_db
def test_a_stored_user() -> None:
    made = make_user(UserId("auth0|7"))
    assert (made.app_id, str(made)) == ("auth0|7", "auth0|7")
    stored = User.objects.get(pk=UserId("auth0|7"))
    assert (stored.user_id, stored.user_id.text) == (made.pk, "auth0|7")
    assert make_user(OWNER).given_id is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("key", "given"), [(UUID(str(UserId("auth0|7"))), None), (uuid4(), "auth0|7")]
)
def test_the_database_wants_the_text(key: UUID, given: str | None) -> None:
    with pytest.raises(IntegrityError, match="user_has_its_id"), transaction.atomic():
        User.objects.create(pk=key, given_id=given)
