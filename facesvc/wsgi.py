"""The web application, for gunicorn."""

import os

from django.core.wsgi import get_wsgi_application

from facesvc.monitoring import tracing

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "facesvc.settings")

tracing.start()
application = get_wsgi_application()
