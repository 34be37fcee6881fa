import logging
from typing import Any

from django.apps import AppConfig
from django.db import connections as databases
from django.db.backends.signals import connection_created
from django.db.models.signals import post_delete, post_migrate, pre_delete

logger = logging.getLogger(__name__)


class RecognitionConfig(AppConfig):
    name = "recognition"
    verbose_name = "People and recognition"

    def ready(self) -> None:
        from recognition import checks  # noqa: F401  registers the system checks
        from recognition.api import idempotency
        from recognition.enrolment import lookalikes
        from recognition.models import Face, User
        from recognition.privacy import erasure, retention
        from recognition.processes import connections
        from recognition.verification import recent_probes, sessions

        connection_created.connect(connections.prepare)
        retention.RULES.extend([idempotency.drop_old, recent_probes.drop_old])
        # After the receivers of `batch`, which comes first in INSTALLED_APPS: it locks its items
        # before the user, as its workers do.
        pre_delete.connect(sessions.hold_for_erasure, sender=User)
        pre_delete.connect(idempotency.forget, sender=User)
        pre_delete.connect(lookalikes.forget, sender=User)
        pre_delete.connect(erasure.forget_faces, sender=User)
        pre_delete.connect(idempotency.forget_face, sender=Face)
        pre_delete.connect(lookalikes.forget_face, sender=Face)
        post_delete.connect(erasure.forget_in_audit, sender=User)
        post_migrate.connect(_prepare_search, sender=self)


def _prepare_search(using: str, **kwargs: Any) -> None:
    """For the active version: of no cost in a new database, kept in an old one."""
    from recognition.gallery import indexes
    from recognition.inference.pack.declaration import PackError
    from recognition.models import SketchCentre
    from recognition.packs import engine, protection

    if SketchCentre._meta.db_table not in databases[using].introspection.table_names():
        return  # migrated to before there was a search
    row = engine.active_model()
    try:
        protection.require(row.template_key)
    except PackError as error:
        # It must not be in the way of what helps: the key, or `manage.py rotate_keys`.
        logger.warning("the search is not prepared: %s", error)
        return
    pack = engine.pack(row.pack)
    version = engine.version_of(pack, row.template_key)
    indexes.sketch(version, engine.centre_of(pack, row.template_key))
    indexes.ensure(version)
