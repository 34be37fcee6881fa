from csp.constants import SELF, UNSAFE_INLINE
from csp.decorators import csp_update
from django.contrib import admin
from django.urls import include, path
from django.views.decorators.cache import cache_page
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from facesvc import health, metrics
from facesvc.login import LoginForm

admin.site.login_form = LoginForm

# Its script comes by itself, and may; its styles stand in the page.
_docs = csp_update({"style-src": [SELF, UNSAFE_INLINE]})(
    SpectacularSwaggerSplitView.as_view(throttle_classes=[])
)
# Making the schema takes a tenth of a second; it changes with the code only.
_cached = cache_page(3600)

urlpatterns = [
    path("api/v1/face-recognition/", include("recognition.urls")),
    path("api/v1/face-recognition/", include("management.urls")),
    path("api/v1/face-recognition/", include("batch.urls")),
    path("admin/", admin.site.urls),
    # Open to all, so without the limits that are kept for each token.
    path("api/schema", _cached(SpectacularAPIView.as_view(throttle_classes=[])), name="schema"),
    path("api/docs", _docs, name="docs"),
    path("health", health.ready),
    path("health/live", health.live),
    path("health/ready", health.ready),
    path("metrics", metrics.view),
]

handler400 = "facesvc.api.bad_request"
handler404 = "facesvc.api.not_found"
handler500 = "facesvc.api.server_error"
