from django.contrib import admin
from django.urls import include, path
from django.views.decorators.cache import cache_page
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from facesvc import health
from facesvc.login import LoginForm

admin.site.login_form = LoginForm

# Making the schema takes a tenth of a second; it changes with the code only.
_cached = cache_page(3600)

urlpatterns = [
    path("api/v1/face-recognition/", include("recognition.urls")),
    path("api/v1/face-recognition/", include("management.urls")),
    path("api/v1/face-recognition/", include("batch.urls")),
    path("admin/", admin.site.urls),
    # Open to all, so without the limits that are kept for each token.
    path("api/schema", _cached(SpectacularAPIView.as_view(throttle_classes=[])), name="schema"),
    path("api/docs", SpectacularSwaggerView.as_view(throttle_classes=[]), name="docs"),
    path("health", health.ready),
    path("health/live", health.live),
    path("health/ready", health.ready),
]

handler400 = "facesvc.api.bad_request"
handler404 = "facesvc.api.not_found"
handler500 = "facesvc.api.server_error"
