"""Sessions of operators. The database has a hash of what the cookie has.

So who steals the table, or a dump with it, is not logged in by it.
"""

import hashlib
from typing import Any

from django.contrib.sessions.backends import db
from django.utils import timezone

_BYTES = 20  # the column has 40 characters


class SessionStore(db.SessionStore):
    """Django's sessions in the database."""

    def _get_session_from_db(self) -> Any:
        wanted = {"session_key": _stored(self.session_key), "expire_date__gt": timezone.now()}
        found = self.model.objects.filter(**wanted).first()
        if found is None:
            self._session_key = None
        return found

    def exists(self, session_key: str) -> bool:
        return super().exists(_stored(session_key))

    def create_model_instance(self, data: Any) -> Any:
        made = super().create_model_instance(data)
        made.session_key = _stored(made.session_key)
        return made

    def delete(self, session_key: str | None = None) -> None:
        if wanted := session_key or self.session_key:
            super().delete(_stored(wanted))


def _stored(session_key: str | None) -> str:
    """Its 165 bits are random, so no slow hash is needed."""
    return hashlib.blake2b(str(session_key).encode(), digest_size=_BYTES).hexdigest()
