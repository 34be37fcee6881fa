"""The web application, for gunicorn."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from facesvc import tracing
from recognition import connections

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "facesvc.settings")

tracing.start()
connections.limit(
    statement_seconds=settings.FACESVC_STATEMENT_SECONDS,
    lock_seconds=settings.FACESVC_LOCK_SECONDS,
)
application = get_wsgi_application()
