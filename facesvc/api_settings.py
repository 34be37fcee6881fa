"""How Django REST framework and the API description are set up: nothing of it is for operators."""

from typing import Any

from facesvc import __version__, guide

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["facesvc.auth.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["facesvc.auth.HasScope"],
    "DEFAULT_THROTTLE_CLASSES": ["facesvc.throttling.TokenThrottle"],
    "DEFAULT_RENDERER_CLASSES": ["facesvc.envelope.EnvelopeRenderer"],
    "DEFAULT_PARSER_CLASSES": [
        "facesvc.parsers.StrictJSONParser",
        "facesvc.parsers.FormParser",
        "facesvc.parsers.RawImageParser",
    ],
    "DEFAULT_SCHEMA_CLASS": "facesvc.openapi.EnvelopeSchema",
    "EXCEPTION_HANDLER": "facesvc.api.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "COERCE_DECIMAL_TO_STRING": False,
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "facesvc",
    "DESCRIPTION": guide.text(),
    "TAGS": guide.TAGS,
    "SORT_OPERATIONS": False,  # but as they stand in the urls
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
        "ItemStatus": "batch.schemas.ITEM_STATUS",
        "DuplicateState": "recognition.duplicates.DuplicateState.values",
        "SessionState": "recognition.session_models.SHOWN_STATES",
        "FrameStatus": "recognition.session_serializers.FRAME_STATUS",
    },
    "WEBHOOKS": ["batch.callback_schema.JOB_ENDED"],
    "SCHEMA_PATH_PREFIX": "/api/v1/face-recognition",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "facesvc.openapi_hooks.complete",
    ],
}
