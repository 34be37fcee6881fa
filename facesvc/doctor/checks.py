"""All checks, in the order in which they are shown."""

from facesvc.doctor import here, stored
from facesvc.doctor.findings import Check

_TABLES = ("database", "migrations")

CHECKS = (
    Check("settings", here.configuration),
    Check("database", stored.database),
    Check("migrations", stored.migrations, needs=("database",)),
    Check("clock", stored.clock, needs=("database",)),
    Check("template key", stored.template_key, needs=_TABLES),
    Check("crop key", stored.crop_key, needs=_TABLES),
    Check("models", here.models),
    Check("inference", here.inference, needs=("models",)),
    Check("search", stored.search, needs=_TABLES),
    Check("queue", stored.queue, needs=_TABLES),
    Check("callbacks", stored.callbacks, needs=_TABLES),
    Check("disk", here.disk),
    Check("memory", here.memory),
)
