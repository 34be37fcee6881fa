"""What protects the service on the internet: TLS, cookies, headers, other origins."""

from typing import Any

from corsheaders.defaults import default_headers
from csp.constants import NONE, SELF

from facesvc.settings.table import Topic

addresses = Topic("Addresses")
ALLOWED_HOSTS = addresses.texts("ALLOWED_HOSTS", "localhost", "127.0.0.1", "[::1]").says(
    "Host names of the service. Requests for another name get 400, except probes and metrics."
)
FACESVC_PUBLIC_URL = addresses.text("FACESVC_PUBLIC_URL").says(
    "The address of the service, such as `https://faces.example.com`. It stands before the path "
    "of the results in a callback, and the admin pages need it behind a proxy that speaks TLS."
)
FACESVC_PUBLIC_URL = FACESVC_PUBLIC_URL.rstrip("/")
FACESVC_PAGE = addresses.flag("FACESVC_PAGE", True).says(
    "Whether there is a page at `/` to try things on, see docs/page.md. It uses the public API "
    "and shows nothing without a token."
)
# Each has a catalogue of the page (facesvc/page/words); the admin pages: facesvc/locale.
LANGUAGES = [("en", "English"), ("th", "ไทย")]
FACESVC_LANGUAGE = addresses.text(
    "FACESVC_LANGUAGE", "en", tuple(code for code, _ in LANGUAGES)
).says(
    "The language of the page at `/` and of the admin pages, `en` or `th`, for a browser that asks "
    "for neither. The API, the log and the commands are English."
)
DEBUG = addresses.flag("DEBUG", False).says(
    "Whether Django's own pages show errors. Never set it where others can reach the service."
)

tls = Topic("TLS")
FACESVC_BEHIND_TLS_PROXY = tls.flag("FACESVC_BEHIND_TLS_PROXY", False).says(
    "Whether a proxy in front speaks TLS. It has to set `X-Forwarded-Proto` itself, and to ignore "
    "what a client sends."
)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if FACESVC_BEHIND_TLS_PROXY else None
SECURE_SSL_REDIRECT = FACESVC_BEHIND_TLS_PROXY
# Probes and Prometheus do not come through the proxy.
SECURE_REDIRECT_EXEMPT = [r"^health(/|$)", r"^metrics$"]
SECURE_HSTS_SECONDS = tls.whole(
    "FACESVC_HSTS_SECONDS",
    365 * 24 * 3600 if FACESVC_BEHIND_TLS_PROXY else 0,
    shown="a year behind the proxy, else `0`",
).says("Seconds that browsers keep to https after a visit.")
SECURE_HSTS_INCLUDE_SUBDOMAINS = tls.flag("FACESVC_HSTS_SUBDOMAINS", False).says(
    "Whether browsers keep to https for the subdomains, too."
)
# The owner of the domain decides whether all subdomains speak TLS only, and for ever.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]

cookies = Topic("Cookies, which only the admin pages have")
FACESVC_ADMIN_OVER_HTTP = cookies.flag("FACESVC_ADMIN_OVER_HTTP", False).says(
    "Whether operators may log in over http. Anybody in the network between can then read their "
    "passwords, so set it only where you trust that network. `http://localhost` works without it."
)
SESSION_ENGINE = "facesvc.http.operator_sessions"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not (DEBUG or FACESVC_ADMIN_OVER_HTTP)
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 12 * 3600
CSRF_TRUSTED_ORIGINS = [FACESVC_PUBLIC_URL] if FACESVC_PUBLIC_URL else []
CSRF_FAILURE_VIEW = "facesvc.operators.site.csrf_failure"

# --- Headers --------------------------------------------------------------------------------------
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY: dict[str, Any] = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:", "blob:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

origins = Topic("Pages of other origins")
CORS_ALLOWED_ORIGINS = origins.texts("CORS_ALLOWED_ORIGINS").says(
    "Origins whose scripts may call the API, such as `https://app.example.com`. They need a token "
    "all the same, and cookies are ignored."
)
CORS_URLS_REGEX = r"^/api/v1/"
CORS_ALLOW_HEADERS = [*default_headers, "idempotency-key", "x-on-behalf-of", "x-request-id"]
CORS_EXPOSE_HEADERS = [
    *("Idempotent-Replayed", "Retry-After", "X-Request-ID"),
    *("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"),
]

MIDDLEWARE = [
    "facesvc.http.middleware.RequestContextMiddleware",
    "facesvc.aws.middleware.AwsErrorsMiddleware",
    "facesvc.http.middleware.AdmissionMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "facesvc.http.paths.SlashMiddleware",
    "facesvc.http.middleware.BodyLimitMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "facesvc.http.middleware.CommonMiddleware",
    "facesvc.http.languages.LanguageMiddleware",
    # The admin pages need these; the API has neither cookies nor forms.
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "facesvc.operators.door.CollectionMiddleware",
]
