"""All configuration, from the environment and the file .env: see facesvc.settings.table.

Names of the service's specification have no prefix. All others begin with FACESVC_, so that they
do not collide with variables of other programs.
"""

from typing import Any

from facesvc import __version__
from facesvc.home import BASE_DIR
from facesvc.openapi import guide

# In the order of docs/settings.md.
from facesvc.settings.access import *  # noqa: F403
from facesvc.settings.capacity import *  # noqa: F403
from facesvc.settings.data import *  # noqa: F403
from facesvc.settings.jobs import *  # noqa: F403
from facesvc.settings.recognition import *  # noqa: F403
from facesvc.settings.table import declared
from facesvc.settings.web import *  # noqa: F403

VERSION = __version__

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
    "recognition.collections.apps.CollectionsConfig",
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
            ],
            "builtins": ["facesvc.operators.templatetags.forms_of_a_collection"],
        },
    }
]
# The operators log in to the admin pages.
AUTHENTICATION_BACKENDS = ["facesvc.operators.bindings.Backend"]
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
WHITENOISE_MIMETYPES = {".ts": "text/plain"}  # types of JavaScript, and no video
WHITENOISE_ROOT = BASE_DIR / "facesvc" / "page" / "root"  # what browsers ask for at the root
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = True
LANGUAGE_CODE = "en"  # outside of the pages: see facesvc.http.languages
LANGUAGE_COOKIE_NAME = "facesvc_language"
LOCALE_PATHS = [BASE_DIR / "facesvc" / "locale"]
FORMAT_MODULE_PATH = "facesvc.formats"

# --- Django REST framework and the API description ------------------------------------------------
REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["facesvc.http.auth.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["facesvc.http.auth.HasScope"],
    "DEFAULT_THROTTLE_CLASSES": ["facesvc.http.auth.TokenThrottle"],
    "DEFAULT_RENDERER_CLASSES": ["facesvc.http.envelope.EnvelopeRenderer"],
    "DEFAULT_PARSER_CLASSES": [
        "facesvc.http.parsers.StrictJSONParser",
        "facesvc.http.parsers.FormParser",
        "facesvc.http.parsers.RawImageParser",
    ],
    "DEFAULT_SCHEMA_CLASS": "facesvc.openapi.extensions.EnvelopeSchema",
    "EXCEPTION_HANDLER": "facesvc.http.errors.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "COERCE_DECIMAL_TO_STRING": False,
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "facesvc",
    "DESCRIPTION": guide.text(),
    "TAGS": guide.TAGS,
    "SORT_OPERATIONS": False,  # they have the order of the urls
    "VERSION": __version__,
    "OAS_VERSION": "3.1.1",
    "SERVE_PERMISSIONS": [],
    "SERVE_AUTHENTICATION": [],
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_SETTINGS": "pageSettings",  # of facesvc/page/static/page/api_docs.js
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": False,
    "ENUM_NAME_OVERRIDES": {
        "JobStatus": "batch.models.Status.values",
        "ItemStatus": "batch.api.answers.ITEM_STATUS",
        "CollectionState": "management.collections.STATES",
        "DuplicateState": "recognition.models.duplicates.DuplicateState.values",
        "SessionState": "recognition.models.sessions.SHOWN_STATES",
        "FrameStatus": "recognition.api.session_answers.FRAME_STATUS",
    },
    "WEBHOOKS": ["batch.api.answers.JOB_ENDED"],
    "SCHEMA_PATH_PREFIX": "/api/v1/face-recognition",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "facesvc.openapi.hooks.complete",
    ],
}

# What `manage.py check` refuses: see recognition.checks.
DECLARED = tuple(declared)
