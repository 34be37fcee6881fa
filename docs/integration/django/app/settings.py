"""An app with users and a login, as yours may be. Behind the line is what facesvc adds."""

import os
from pathlib import Path

BASE_DIR = Path(__file__).parents[1]
SECRET_KEY = os.environ["APP_SECRET_KEY"]
DEBUG = os.environ.get("APP_DEBUG") == "1"
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
ROOT_URLCONF = "app.urls"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "app" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "app.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR.parent / "browser"]
LOGIN_URL, LOGIN_REDIRECT_URL = "/login/", "/"

# --- what facesvc adds

INSTALLED_APPS += ["faces"]
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",  # passwords go on
    "faces.backend.FaceBackend",
]
FACES_URL = os.environ["FACES_URL"]
FACES_JWT_SECRET = os.environ["FACES_JWT_SECRET"]

# --- what photos add

INSTALLED_APPS += ["photos"]
MEDIA_ROOT = BASE_DIR / "media"
APP_URL = os.environ.get("APP_URL", "http://localhost:8001")  # where callbacks go
FACES_WEBHOOK_SECRET = os.environ.get("FACES_WEBHOOK_SECRET", "")

# --- what the check-in adds

INSTALLED_APPS += ["checkin"]
