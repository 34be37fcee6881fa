import logging
from typing import Any

from django.apps import AppConfig
from django.db import connections as databases
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate, pre_delete
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
        post_migrate.connect(_prepare_search, sender=self)


def _prepare_search(using: str, **kwargs: Any) -> None:
    """For the active version: of no cost in a new database, kept in an old one."""
    from recognition import model_change, upgrading
    from recognition.gallery import indexes
    from recognition.inference.pack.declaration import PackError
    from recognition.models import Measurement
    from recognition.packs import engine, protection, versions

    if Measurement._meta.db_table not in databases[using].introspection.table_names():
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
    version = versions.version_of(pack, row.template_key)
    calibration = engine.calibration_of(pack, row.measurement_id)
    indexes.sketch(version, engine.centre_of(calibration, row.template_key))
    try:
        if count := upgrading.carry_over(actor="command:migrate"):
            logger.info("%d faces have templates of %s now", count, version)
    except (PackError, model_change.ModelChangeInProgressError) as error:
        logger.warning("run `manage.py reembed --pack %s`: %s", pack.name, error)
    indexes.ensure(version)
