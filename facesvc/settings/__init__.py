"""All configuration, from the environment and the file .env: see facesvc.environment.

Names without prefix are those of the service's specification, FACESVC_ ones might collide with
others otherwise. The lines "#:" above them are docs/settings.md: see facesvc.settings_page.
"""

import os
from pathlib import Path
from typing import Any

import dj_database_url

from facesvc import __version__
from facesvc.environment import BASE_DIR, env, required_secret, secret
from facesvc.monitoring import logs
from facesvc.settings.api import REST_FRAMEWORK as REST_FRAMEWORK
from facesvc.settings.api import SPECTACULAR_SETTINGS as SPECTACULAR_SETTINGS
from facesvc.settings.background import *  # noqa: F403
from facesvc.settings.recognition import *  # noqa: F403
from facesvc.settings.web import *  # noqa: F403

VERSION = __version__

# --- Keys -----------------------------------------------------------------------------------------
#: Signs the tokens unless `JWT_SECRET` or a public key is set. The service does not start without.
#: Default: written into `.env` by `make`
SECRET_KEY = required_secret("SECRET_KEY")

# --- Tokens ---------------------------------------------------------------------------------------
#: Minutes that a token of `manage.py issue_token` is valid.
ACCESS_TOKEN_EXPIRE_MINUTES = env.int("ACCESS_TOKEN_EXPIRE_MINUTES", 30)
#: Signs the tokens of your app and of `manage.py issue_token` (HS256). docs/api.md says what is
#: in a token.
#: Default: `SECRET_KEY`
JWT_SECRET = secret("JWT_SECRET", SECRET_KEY)
#: Of an identity provider that signs the tokens (RS256, ES256 or EdDSA), in PEM. With it, or with
#: `JWT_JWKS_URL`, no token is taken that a secret signs.
JWT_PUBLIC_KEY = env.str("JWT_PUBLIC_KEY", "")
#: The address where the identity provider publishes its keys, in place of `JWT_PUBLIC_KEY`.
JWT_JWKS_URL = env.str("JWT_JWKS_URL", "")
#: Names of the services that a token may stand for; users are UUIDs. Without an identity provider
#: an empty list lets every name be a service: who has the secret is trusted.
JWT_SERVICE_CLIENTS: list[str] = env.list("JWT_SERVICE_CLIENTS", [])
#: The `aud` that a token must have, if this is set.
JWT_AUDIENCE = env.str("JWT_AUDIENCE", "")
#: The `iss` that a token must have, if this is set.
JWT_ISSUER = env.str("JWT_ISSUER", "")
#: Seconds that the clock of the issuer may differ from ours: a token counts so much longer.
JWT_LEEWAY_SECONDS = env.int("JWT_LEEWAY_SECONDS", 30)

# --- Pictures and bodies --------------------------------------------------------------------------
#: The most that a picture may have as it is sent, in megabytes; more gets 413.
MAX_IMAGE_SIZE_MB = env.float("MAX_IMAGE_SIZE_MB", 10)
#: The most that a picture may have when it is decoded, in megapixels; more gets 413.
FACESVC_MAX_IMAGE_MEGAPIXELS = env.float("FACESVC_MAX_IMAGE_MEGAPIXELS", 40)
#: At most so many faces of a picture count: the largest ones.
FACESVC_MAX_FACES_PER_IMAGE = env.int("FACESVC_MAX_FACES_PER_IMAGE", 100)
# It is read line by line, and so may be larger than what fits into memory.
#: The most that a body of `POST /graph` may have, in megabytes.
FACESVC_MAX_GRAPH_MB = env.float("FACESVC_MAX_GRAPH_MB", 100)

# --- Batches --------------------------------------------------------------------------------------
#: The most pictures that a batch may have.
MAX_BATCH_SIZE = env.int("MAX_BATCH_SIZE", 100)
#: The body of a batch, which is held in memory four times over. A process takes little more than
#: one of these at once, and refuses the rest with 503.
FACESVC_MAX_BATCH_MB = env.int("FACESVC_MAX_BATCH_MB", 200)
# A thread of the web server is busy with it.
#: So long may a batch take that is answered at once. A web process works on two of these at a time,
#: and refuses more with 503.
FACESVC_BATCH_AT_ONCE_SECONDS = env.int("FACESVC_BATCH_AT_ONCE_SECONDS", 60)

# --- Requests -------------------------------------------------------------------------------------
#: Calls of a token in a minute; 0 for no limit. `issue_token --calls-per-minute` makes tokens with
#: a limit of their own.
RATE_LIMIT_PER_MINUTE = env.int("RATE_LIMIT_PER_MINUTE", 60)
#: Calls of a token in an hour; 0 for no limit.
RATE_LIMIT_PER_HOUR = env.int("RATE_LIMIT_PER_HOUR", 1000)

# --- The web server -------------------------------------------------------------------------------
# Some of them must be free for what needs no inference.
#: Threads of each web process, see docs/deployment.md.
WEB_THREADS = env.int("WEB_THREADS", 12)
#: Requests of a process that compute at once.
#: Default: `2`, but fewer than `WEB_THREADS`
FACESVC_INFERENCE_AT_ONCE = env.int("FACESVC_INFERENCE_AT_ONCE", max(1, min(2, WEB_THREADS - 1)))
#: Requests of a process that wait for their turn to compute; more get 503.
#: Default: `6`: what `WEB_THREADS` leave when four stay free
FACESVC_INFERENCE_WAITING = env.int(
    "FACESVC_INFERENCE_WAITING", max(0, WEB_THREADS - FACESVC_INFERENCE_AT_ONCE - 4)
)
#: How long they wait at most; then they get 503.
FACESVC_INFERENCE_WAIT_SECONDS = env.float("FACESVC_INFERENCE_WAIT_SECONDS", 5)

# --- What follows from these ----------------------------------------------------------------------
MAX_IMAGE_BYTES = int(MAX_IMAGE_SIZE_MB * 1024 * 1024)
MAX_IMAGE_PIXELS = int(FACESVC_MAX_IMAGE_MEGAPIXELS * 1e6)
# A picture in base64, with some room, so that one that is a little too large is told to be so.
MAX_ENCODED_IMAGE_BYTES = int(MAX_IMAGE_BYTES * 1.5)
# What else a body holds is far below this.
BODY_ROOM_BYTES = 64 * 1024
MAX_BODY_BYTES = 2 * MAX_ENCODED_IMAGE_BYTES + BODY_ROOM_BYTES
MAX_GRAPH_BYTES = int(FACESVC_MAX_GRAPH_MB * 1024 * 1024)
MAX_BATCH_BYTES = FACESVC_MAX_BATCH_MB * 1024 * 1024
# All bodies that a process holds at once: beside the largest batch single pictures are still taken.
MAX_BODIES_BYTES = MAX_BATCH_BYTES + 2 * MAX_BODY_BYTES
# Uploads stay in memory: a picture of a person must not lie in a temporary file.
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.MemoryFileUploadHandler"]
# For the API; facesvc.http.middleware refuses less elsewhere.
FILE_UPLOAD_MAX_MEMORY_SIZE = DATA_UPLOAD_MAX_MEMORY_SIZE = max(MAX_BODY_BYTES, MAX_BATCH_BYTES)
# Some more than a batch takes, so that one that is a little too large is told to be so.
DATA_UPLOAD_MAX_NUMBER_FILES = 2 * MAX_BATCH_SIZE

# --- Data -----------------------------------------------------------------------------------------
#: The folder for the database and the converted models.
#: Default: `data`
DATA_DIR = Path(env.str("FACESVC_DATA", str(BASE_DIR / "data")))
MODELS_DIR = DATA_DIR / "models"
#: Folders with model packs, separated as in `PATH`; the first that has a pack counts.
#: Default: `ml_models`, `tests/packs`, and `packs` in `FACESVC_DATA`
PACK_FOLDERS = [Path(folder) for folder in env.str("FACESVC_PACKS", "").split(os.pathsep) if folder]
PACK_FOLDERS = PACK_FOLDERS or [
    BASE_DIR / "ml_models",
    BASE_DIR / "tests" / "packs",
    DATA_DIR / "packs",
]
#: What `models pull` asks before the addresses in the packs: a folder that holds the weight files,
#: or their zip archives, under the names that the packs give them; or the https address of such a
#: folder.
FACESVC_MODEL_SOURCE = env.str("FACESVC_MODEL_SOURCE", "")

#: A PostgreSQL with pgvector 0.8, such as `postgresql://facesvc:password@host/facesvc`.
#: Default: the embedded PostgreSQL in `FACESVC_DATA`
DATABASE_URL = env.str("DATABASE_URL", "")
DATABASES: dict[str, dict[str, Any]]
if DATABASE_URL:
    DATABASES = {"default": dict(dj_database_url.parse(DATABASE_URL))}
else:
    DATABASES = {"default": {"ENGINE": "facesvc.postgres", "NAME": "facesvc"}}
DATABASES["default"] |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
# A database that drops packets must hold up nobody for minutes.
DATABASES["default"]["OPTIONS"] = {"connect_timeout": 10} | DATABASES["default"].get("OPTIONS", {})
#: Seconds that a statement of a request may take; then the request gets 503.
FACESVC_STATEMENT_SECONDS = env.float("FACESVC_STATEMENT_SECONDS", 30)
#: Seconds that a request, or a task of a worker, waits for what another one has locked; then the
#: request gets 503.
FACESVC_LOCK_SECONDS = env.float("FACESVC_LOCK_SECONDS", 5)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    # In the memory of each process, and never compared after an erasure: it goes with the next look
    # at its user, or with whatever is cached after the timeout; see
    # recognition.verification.template_cache.
    "templates": {
        "BACKEND": "recognition.verification.template_cache.SweptCache",
        "LOCATION": "templates",
        "TIMEOUT": 300,
        "OPTIONS": {"MAX_ENTRIES": 1000},
    },
}

# --- Django ---------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "facesvc",  # its commands: before django_q, whose command qcluster it replaces
    "batch",
    "facesvc.operators.apps.OperatorsConfig",  # before the admin, whose templates it extends
    "facesvc.operators.apps.SiteConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "corsheaders",
    "csp",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_q",
    "recognition",
    "management",
    "facesvc.page",
]
ROOT_URLCONF = "facesvc.urls"
WSGI_APPLICATION = "facesvc.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
# Of the operators, who log in to the admin pages.
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
# Messages may name people: in the operator's cookie, and never in the table of sessions.
MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"
STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = True
WHITENOISE_ROOT = BASE_DIR / "facesvc" / "page" / "root"  # what browsers ask for at the root
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
FORMAT_MODULE_PATH = "facesvc.formats"

# --- Logs and metrics -----------------------------------------------------------------------------
#: `DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`: how much is logged.
LOG_LEVEL = env.str("LOG_LEVEL", "INFO")
#: `json`, or `text` for people; `auto` is `text` on a terminal and `json` elsewhere.
FACESVC_LOG_FORMAT = env.str("FACESVC_LOG_FORMAT", "auto")
LOGGING = logs.configuration(LOG_LEVEL, FACESVC_LOG_FORMAT)
#: Whoever scrapes `/metrics` sends it as a bearer token; without it nobody may, unless it is open.
FACESVC_METRICS_TOKEN = secret("FACESVC_METRICS_TOKEN")
#: Everybody may see `/metrics`: where only your own network reaches the port.
FACESVC_METRICS_OPEN = env.bool("FACESVC_METRICS_OPEN", False)
