"""Where the data is, and what is logged and measured."""

import os
from pathlib import Path
from typing import Any

from facesvc.home import BASE_DIR, HOME_DIR
from facesvc.monitoring import logs
from facesvc.postgres import address
from facesvc.settings.table import Topic

stored = Topic("Data")
DATA_DIR = Path(
    stored.text("FACESVC_DATA", str(HOME_DIR / "data"), shown="`data`").says(
        "The folder for the database and the converted models."
    )
)
MODELS_DIR = DATA_DIR / "models"
_folders = stored.text("FACESVC_PACKS", shown="`ml_models`, and `packs` in `FACESVC_DATA`").says(
    "Folders with model packs, separated as in `PATH`. If several have a pack of one name, the "
    "first counts."
)
PACK_FOLDERS = [Path(folder) for folder in _folders.split(os.pathsep) if folder] or [
    BASE_DIR / "ml_models",
    DATA_DIR / "packs",
]
FACESVC_MODEL_SOURCE = stored.text("FACESVC_MODEL_SOURCE").says(
    "A folder, or the https address of one, where `models pull` looks before it asks the "
    "addresses in the packs. It has the weight files, or their zip archives, under the names that "
    "the packs give them."
)

DATABASE_URL = stored.text("DATABASE_URL", shown="the embedded PostgreSQL in `FACESVC_DATA`").says(
    "A PostgreSQL with pgvector 0.8, such as `postgresql://facesvc:password@host/facesvc`. It may "
    "name several servers, `...@one:5432,two:5432/facesvc`: the service uses the one that takes "
    "writes. The query may have all parameters of libpq."
)
DATABASES: dict[str, dict[str, Any]]
if DATABASE_URL:
    DATABASES = {"default": address.parse("DATABASE_URL", DATABASE_URL)}
else:
    _embedded = {"ENGINE": "facesvc.postgres", "NAME": "facesvc", "OPTIONS": address.PATIENCE}
    DATABASES = {"default": _embedded}
FACESVC_SEARCH_DATABASE_URL = stored.text("FACESVC_SEARCH_DATABASE_URL").says(
    "Streaming replicas of the database that searches run on, such as "
    "`postgresql://facesvc:password@two:5432,three:5432/facesvc`: each connection takes one of "
    "them at random. Without it searches run on `DATABASE_URL`."
)
if FACESVC_SEARCH_DATABASE_URL:
    DATABASES["search"] = address.parse_replicas(
        "FACESVC_SEARCH_DATABASE_URL", FACESVC_SEARCH_DATABASE_URL
    )
FACESVC_REPLICA_MAX_LAG = stored.number("FACESVC_REPLICA_MAX_LAG", 5, (0.1, 3600)).says(
    "Seconds that a replica may be behind `DATABASE_URL` for searches to run on it."
)
for _database in DATABASES.values():
    _database["CONN_MAX_AGE"] = 60
# A connection to a replica is looked at before each search: see recognition.gallery.replicas.
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
# gunicorn takes a process for stuck after a minute.
FACESVC_STATEMENT_SECONDS = stored.number("FACESVC_STATEMENT_SECONDS", 30, (1, 50)).says(
    "Seconds that a statement of a request may take; then the request gets 503."
)
FACESVC_LOCK_SECONDS = stored.number("FACESVC_LOCK_SECONDS", 5, (0.1, 50)).says(
    "Seconds that a request, or a task of a worker, waits for what another one has locked; then "
    "the request gets 503."
)
FACESVC_MOST_COLLECTIONS = stored.whole("FACESVC_MOST_COLLECTIONS", 200, (1, 10_000)).says(
    "The most collections that there may be, see docs/collections.md. Each has tables of its own."
)
DATABASE_ROUTERS = ["recognition.collections.schemas.Router"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    # In the memory of each process. Nothing in it is compared after an erasure: an entry goes when
    # its user is looked at again, or when anything is cached after the timeout; see
    # recognition.verification.template_cache.
    "templates": {
        "BACKEND": "recognition.verification.template_cache.SweptCache",
        "LOCATION": "templates",
        "TIMEOUT": 300,
        "OPTIONS": {"MAX_ENTRIES": 1000},
    },
}

logged = Topic("Logs and metrics")
LOG_LEVEL = logged.text("LOG_LEVEL", "INFO", logs.LEVELS).says(
    "`DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`: how much is logged."
)
FACESVC_LOG_FORMAT = logged.text("FACESVC_LOG_FORMAT", "auto", logs.STYLES).says(
    "`json`, or `text` for people; `auto` is `text` on a terminal and `json` elsewhere."
)
LOGGING = logs.configuration(LOG_LEVEL, FACESVC_LOG_FORMAT)
FACESVC_METRICS_TOKEN = logged.secret("FACESVC_METRICS_TOKEN").says(
    "The bearer token that opens `/metrics`. Without it nobody may see `/metrics`, unless "
    "`FACESVC_METRICS_OPEN` is set."
)
FACESVC_METRICS_OPEN = logged.flag("FACESVC_METRICS_OPEN", False).says(
    "Whether everybody may see `/metrics`. Set it only where nobody but your own network reaches "
    "the port."
)
FACESVC_METRICS_BY_COLLECTION = logged.flag("FACESVC_METRICS_BY_COLLECTION", False).says(
    "Whether the metrics of what is stored have a label `collection`. It names your collections to "
    "everybody who may see `/metrics`. Without it these metrics are sums."
)
FACESVC_WORKER_METRICS_PORT = logged.whole("FACESVC_WORKER_METRICS_PORT", 0, (0, 65535)).says(
    "The port on which each `manage.py qcluster` shows `/metrics` of its processes, to whoever may "
    "see those of the web server; 0 for none."
)
FACESVC_WORKER_METRICS_HOST = logged.text("FACESVC_WORKER_METRICS_HOST", "127.0.0.1").says(
    "The address of that port: `0.0.0.0` in a container whose network only you reach."
)
