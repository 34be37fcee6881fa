import logging
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.db import connection
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate, pre_delete, pre_migrate
from django.utils.module_loading import autodiscover_modules

logger = logging.getLogger(__name__)


class RecognitionConfig(AppConfig):
    name = "recognition"
    verbose_name = "People and recognition"

    def ready(self) -> None:
        from recognition import (
            checks,  # noqa: F401  registers the system checks
            keeps,  # noqa: F401  first in an export
        )
        from recognition.models import Face, User
        from recognition.privacy import erasure
        from recognition.processes import connections

        connection_created.connect(connections.prepare)
        autodiscover_modules("keeps")  # of the other apps
        pre_delete.connect(erasure.before_user, sender=User)
        pre_delete.connect(erasure.before_face, sender=Face)
        pre_migrate.connect(_make_way, sender=self)
        post_migrate.connect(_prepare_search, sender=self)


def _make_way(using: str, plan: Sequence[Any], **kwargs: Any) -> None:
    """A build of an index holds a lock for hours, for which a migration of its table waits."""
    from recognition.gallery import indexes

    if plan:
        indexes.break_off(using)


def _prepare_search(using: str, **kwargs: Any) -> None:
    from recognition.processes import connections

    with connections.as_default(using):
        _prepare_active_version()


def _prepare_active_version() -> None:
    from recognition import model_change, upgrading
    from recognition.gallery import indexes
    from recognition.inference.pack.declaration import PackError
    from recognition.models import Measurement
    from recognition.packs import engine, protection

    if Measurement._meta.db_table not in connection.introspection.table_names():
        return  # migrated to before that
    row = engine.active_model()
    try:
        protection.require(row.template_key)
        pack = engine.pack(row.pack)
    except PackError as error:
        # It must not be in the way of what helps: the key, the pack, or `manage.py rotate_keys`.
        logger.warning("the search is not prepared: %s", error)
        return
    upgrading.release_measurement(actor="command:migrate")
    version = indexes.sketch_active(row)
    try:
        if count := upgrading.carry_over(actor="command:migrate"):
            logger.info("%d faces have templates of %s now", count, version)
    except (PackError, model_change.ModelChangeInProgressError) as error:
        logger.warning("run `manage.py reembed --pack %s`: %s", pack.name, error)
