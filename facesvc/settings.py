"""All configuration, from the environment and the file .env: see facesvc.environment.

Names without prefix are those of the service's specification, FACESVC_ ones might collide with
others otherwise.
"""

import os
from pathlib import Path
from typing import Any

import dj_database_url

from facesvc import logs
from facesvc.api_settings import REST_FRAMEWORK as REST_FRAMEWORK
from facesvc.api_settings import SPECTACULAR_SETTINGS as SPECTACULAR_SETTINGS
from facesvc.api_settings import VERSION as VERSION
from facesvc.environment import BASE_DIR, env, required_secret, secret, secrets
from facesvc.web_settings import *  # noqa: F403

# Signs the tokens unless JWT_SECRET or a public key is set.
SECRET_KEY = required_secret("SECRET_KEY")

# --- Tokens ---------------------------------------------------------------------------------------
ACCESS_TOKEN_EXPIRE_MINUTES = env.int("ACCESS_TOKEN_EXPIRE_MINUTES", 30)
JWT_SECRET = secret("JWT_SECRET", SECRET_KEY)
# With one of these, tokens come from an identity provider, and none signed by a secret is taken.
JWT_PUBLIC_KEY = env.str("JWT_PUBLIC_KEY", "")
JWT_JWKS_URL = env.str("JWT_JWKS_URL", "")
# Names of the services that tokens of the identity provider may stand for; users are UUIDs.
JWT_SERVICE_CLIENTS: list[str] = env.list("JWT_SERVICE_CLIENTS", [])
JWT_AUDIENCE = env.str("JWT_AUDIENCE", "")
JWT_ISSUER = env.str("JWT_ISSUER", "")

# --- Recognition ----------------------------------------------------------------------------------
VERIFICATION_THRESHOLD = env.float("VERIFICATION_THRESHOLD", 0.85)  # confidence of `standard`
FACE_MATCH_THRESHOLD = env.float("FACE_MATCH_THRESHOLD", 0.80)  # default min_confidence
# Refuses 1.1% of 3,562 photos of Labeled Faces in the Wild with the default pack.
MIN_FACE_QUALITY = env.float("MIN_FACE_QUALITY", 0.60)
# The pack of a new database; later `manage.py models activate` changes it.
FACESVC_PACK = env.str("FACESVC_PACK", "dlib")
# Pictures of the enrolled faces, encrypted, so that another model can take over.
# Each 32 bytes in URL-safe base64, the newest first.
FACESVC_CROP_KEYS = secrets("FACESVC_CROP_KEYS")
STORE_FACE_CROPS = env.bool("STORE_FACE_CROPS", bool(FACESVC_CROP_KEYS))
# Keys of the rotation that protects templates, 32 bytes in URL-safe base64, the newest first.
FACESVC_TEMPLATE_KEYS: tuple[str, ...] = tuple(secrets("FACESVC_TEMPLATE_KEYS"))
# Whether a face is stored with metadata.consent only; see docs/privacy.md.
FACESVC_REQUIRE_CONSENT = env.bool("FACESVC_REQUIRE_CONSENT", False)
FACESVC_INFERENCE_THREADS = env.int("FACESVC_INFERENCE_THREADS", 1)

# --- Limits ---------------------------------------------------------------------------------------
MAX_IMAGE_SIZE_MB = env.float("MAX_IMAGE_SIZE_MB", 10)
FACESVC_MAX_IMAGE_MEGAPIXELS = env.float("FACESVC_MAX_IMAGE_MEGAPIXELS", 40)
FACESVC_MAX_FACES_PER_IMAGE = env.int("FACESVC_MAX_FACES_PER_IMAGE", 100)
RATE_LIMIT_PER_MINUTE = env.int("RATE_LIMIT_PER_MINUTE", 60)
RATE_LIMIT_PER_HOUR = env.int("RATE_LIMIT_PER_HOUR", 1000)

# Threads of a web process, of which some must be free for what needs no inference.
WEB_THREADS = env.int("WEB_THREADS", 12)
# Pictures that a process computes at once, requests that wait for that, and how long they do.
FACESVC_INFERENCE_AT_ONCE = env.int("FACESVC_INFERENCE_AT_ONCE", max(1, min(2, WEB_THREADS - 1)))
FACESVC_INFERENCE_WAITING = env.int(
    "FACESVC_INFERENCE_WAITING", max(0, WEB_THREADS - FACESVC_INFERENCE_AT_ONCE - 4)
)
FACESVC_INFERENCE_WAIT_SECONDS = env.float("FACESVC_INFERENCE_WAIT_SECONDS", 5)

MAX_BATCH_SIZE = env.int("MAX_BATCH_SIZE", 100)  # pictures
# The body of a batch; it is held in memory while it is read.
FACESVC_MAX_BATCH_MB = env.int("FACESVC_MAX_BATCH_MB", 200)
# Pictures of all jobs that are not done; more are refused with 503.
FACESVC_BATCH_QUEUE_LIMIT = env.int("FACESVC_BATCH_QUEUE_LIMIT", 200_000)
# Seconds that a job may take from its first picture on.
ASYNC_PROCESSING_TIMEOUT = env.int("ASYNC_PROCESSING_TIMEOUT", 300)

# The same for a batch that is answered at once: a thread of the web server is busy with it.
FACESVC_BATCH_AT_ONCE_SECONDS = env.int("FACESVC_BATCH_AT_ONCE_SECONDS", 60)
# Hours that a job's first picture may wait, as when no worker runs.
FACESVC_BATCH_WAIT_HOURS = env.int("FACESVC_BATCH_WAIT_HOURS", 24)

MAX_IMAGE_BYTES = int(MAX_IMAGE_SIZE_MB * 1024 * 1024)
MAX_IMAGE_PIXELS = int(FACESVC_MAX_IMAGE_MEGAPIXELS * 1e6)
# A picture in base64, with some room, so that one that is a little too large is told to be so.
MAX_ENCODED_IMAGE_BYTES = int(MAX_IMAGE_BYTES * 1.5)
# What else a body holds is far below this.
BODY_ROOM_BYTES = 64 * 1024
MAX_BODY_BYTES = 2 * MAX_ENCODED_IMAGE_BYTES + BODY_ROOM_BYTES
# A graph is read line by line, and so may be larger than what fits into memory.
MAX_GRAPH_BYTES = int(env.float("FACESVC_MAX_GRAPH_MB", 100) * 1024 * 1024)
MAX_BATCH_BYTES = FACESVC_MAX_BATCH_MB * 1024 * 1024
# All bodies that a process holds at once: beside the largest batch single pictures are still taken.
MAX_BODIES_BYTES = MAX_BATCH_BYTES + 2 * MAX_BODY_BYTES
# Uploads stay in memory: a picture of a person must not lie in a temporary file.
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.MemoryFileUploadHandler"]
# For the API; facesvc.middleware refuses less elsewhere.
FILE_UPLOAD_MAX_MEMORY_SIZE = DATA_UPLOAD_MAX_MEMORY_SIZE = max(MAX_BODY_BYTES, MAX_BATCH_BYTES)
# Some more than a batch takes, so that one that is a little too large is told to be so.
DATA_UPLOAD_MAX_NUMBER_FILES = 2 * MAX_BATCH_SIZE

# --- Sessions, liveness, risk ---------------------------------------------------------------------
FACESVC_LOGIN_SESSION_SECONDS = env.int("FACESVC_LOGIN_SESSION_SECONDS", 180)
FACESVC_LIVE_SESSION_MINUTES = env.int("FACESVC_LIVE_SESSION_MINUTES", 120)
FACESVC_LIVE_FRAMES_PER_SECOND = env.float("FACESVC_LIVE_FRAMES_PER_SECOND", 5)  # a session
# Of one frame: they may come often, and full HD has 2.1.
FACESVC_LIVE_FRAME_MEGAPIXELS = env.float("FACESVC_LIVE_FRAME_MEGAPIXELS", 4)
FACESVC_LIVE_WINDOW = env.int("FACESVC_LIVE_WINDOW", 5)  # frames that the state is made of
# Without a frame for so long the user is lost.
FACESVC_LIVE_GAP_SECONDS = env.float("FACESVC_LIVE_GAP_SECONDS", 10)
# How often the frames of a call are checked for spoofing and deepfakes.
FACESVC_LIVE_CHECK_SECONDS = env.float("FACESVC_LIVE_CHECK_SECONDS", 2)
# How long the same picture counts as replayed.
FACESVC_REPLAY_HOURS = env.int("FACESVC_REPLAY_HOURS", 24)

# Services that a picture is sent to; see docs/liveness.md. Without the first the pack's own
# anti-spoofing is used, where it has one.
ANTISPOOFING_SERVICE_URL = env.str("ANTISPOOFING_SERVICE_URL", "")
DEEPFAKE_DETECTION_SERVICE_URL = env.str("DEEPFAKE_DETECTION_SERVICE_URL", "")
# Seconds that a request waits for their answers at most.
FACESVC_PROVIDER_SECONDS = env.float("FACESVC_PROVIDER_SECONDS", 2)
# Scores from which on a face counts as alive, and as no deepfake.
FACESVC_LIVENESS_THRESHOLD = env.float("FACESVC_LIVENESS_THRESHOLD", 0.5)
FACESVC_DEEPFAKE_THRESHOLD = env.float("FACESVC_DEEPFAKE_THRESHOLD", 0.5)
# Without whose answers `strict` refuses: of antispoofing, deepfake.
FACESVC_STRICT_CHECKS: list[str] = env.list("FACESVC_STRICT_CHECKS", ["antispoofing", "deepfake"])
# Whether /health/ready fails while one of the services does not answer.
FACESVC_READY_NEEDS_PROVIDERS = env.bool("FACESVC_READY_NEEDS_PROVIDERS", False)

# --- Data -----------------------------------------------------------------------------------------
DATA_DIR = Path(env.str("FACESVC_DATA", str(BASE_DIR / "data")))
MODELS_DIR = DATA_DIR / "models"
# Where packs are looked for, the first hit counts: folders, separated as in PATH.
PACK_FOLDERS = [Path(folder) for folder in env.str("FACESVC_PACKS", "").split(os.pathsep) if folder]
PACK_FOLDERS = PACK_FOLDERS or [
    BASE_DIR / "ml_models",
    BASE_DIR / "tests" / "packs",
    DATA_DIR / "packs",
]
# Asked before the addresses in the packs: a folder that holds the weight files, or their zip
# archives, under the names that the packs give them; or the https address of such a folder.
FACESVC_MODEL_SOURCE = env.str("FACESVC_MODEL_SOURCE", "")

DATABASES: dict[str, dict[str, Any]]
if DATABASE_URL := env.str("DATABASE_URL", ""):
    DATABASES = {"default": dict(dj_database_url.parse(DATABASE_URL))}
else:
    DATABASES = {"default": {"ENGINE": "facesvc.postgres", "NAME": "facesvc"}}
DATABASES["default"] |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    # In the memory of each process, and never compared after an erasure: it goes with the next look
    # at its user, or with whatever is cached after the timeout; see recognition.template_cache.
    "templates": {
        "BACKEND": "recognition.template_cache.SweptCache",
        "LOCATION": "templates",
        "TIMEOUT": 300,
        "OPTIONS": {"MAX_ENTRIES": 1000},
    },
}

# --- Search ---------------------------------------------------------------------------------------
# Of the HNSW index, for galleries beyond some hundred thousand faces. These find every true match
# among 100,000 faces where pgvector's own values lose a third; see docs/sizing.md.
FACESVC_HNSW_M = env.int("FACESVC_HNSW_M", 32)
FACESVC_HNSW_EF_CONSTRUCTION = env.int("FACESVC_HNSW_EF_CONSTRUCTION", 200)
FACESVC_HNSW_EF_SEARCH = env.int("FACESVC_HNSW_EF_SEARCH", 400)

# --- Django ---------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "batch",  # before django_q, whose command qcluster it replaces
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
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
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False

# --- Background work ------------------------------------------------------------------------------
# What has to be done stands in our own tables, and a lost task is queued anew by batch.work.sweep.
# So django-q2 need only be quick, and must never do anything twice for long.
TASK_SECONDS = 180
# Items that one worker has at once: one waits for the database while another is computed.
FACESVC_TASK_THREADS = env.int("FACESVC_TASK_THREADS", 2)
Q_CLUSTER = {
    "name": "facesvc",
    "orm": "default",
    "workers": env.int("FACESVC_TASK_WORKERS", 1),
    # A task gives way after 5 seconds; one picture or one callback fits in this many times over.
    "timeout": TASK_SECONDS,
    # When a task is given to another worker because nobody acknowledged it. Longer than the
    # timeout, or a running task would be started a second time. Its own default is 60.
    "retry": TASK_SECONDS + 60,
    # A failed task is done with: by default it would come again after every `retry`, for ever.
    "ack_failures": True,
    # With the above the first attempt is the last; 0 would mean no limit.
    "max_attempts": 1,
    # Records of what succeeded are of no use, and keeping a number of them locks them all each
    # time. Failures are kept, until `manage.py purge`.
    "save_limit": -1,
    # Seconds between two looks at an empty queue, and so half of that before a job begins.
    "poll": 0.1,
    # What waits inside one cluster cannot be taken by another.
    "queue_limit": 1,
    "bulk": 1,
    # A sweep missed while no cluster ran need not be made up for.
    "catch_up": False,
}

# --- Callbacks ------------------------------------------------------------------------------------
# Hosts that a callback may reach although they are private: `name` or, for any port, `name:port`.
WEBHOOK_ALLOWED_HOSTS: list[str] = env.list("WEBHOOK_ALLOWED_HOSTS", [])
FACESVC_WEBHOOK_ALLOW_HTTP = env.bool("FACESVC_WEBHOOK_ALLOW_HTTP", False)
FACESVC_WEBHOOK_PORTS = env.list(
    "FACESVC_WEBHOOK_PORTS", [443, 80] if FACESVC_WEBHOOK_ALLOW_HTTP else [443], subcast=int
)
FACESVC_WEBHOOK_ROTATION_HOURS = env.int("FACESVC_WEBHOOK_ROTATION_HOURS", 24)

# --- Retention (manage.py purge) ------------------------------------------------------------------
FACESVC_BATCH_RETENTION_DAYS = env.int("FACESVC_BATCH_RETENTION_DAYS", 7)
FACESVC_IDEMPOTENCY_HOURS = env.int("FACESVC_IDEMPOTENCY_HOURS", 24)
FACESVC_SESSION_RETENTION_DAYS = env.int("FACESVC_SESSION_RETENTION_DAYS", 30)
FACESVC_AUDIT_RETENTION_DAYS = env.int("FACESVC_AUDIT_RETENTION_DAYS", 730)

# --- Logs and metrics -----------------------------------------------------------------------------
LOGGING = logs.configuration(env.str("LOG_LEVEL", "INFO"), env.str("FACESVC_LOG_FORMAT", "json"))
# Whoever scrapes /metrics sends it as a bearer token; without it nobody may, unless it is open.
FACESVC_METRICS_TOKEN = secret("FACESVC_METRICS_TOKEN")
FACESVC_METRICS_OPEN = env.bool("FACESVC_METRICS_OPEN", False)
