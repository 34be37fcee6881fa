"""Sets up Django REST framework and the API description. Operators set nothing of it."""

from typing import Any

from facesvc import __version__
from facesvc.openapi import guide

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
