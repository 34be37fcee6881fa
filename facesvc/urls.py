from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from facesvc import health

urlpatterns = [
    path("api/v1/face-recognition/", include("recognition.urls")),
    path("api/v1/face-recognition/", include("management.urls")),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs", SpectacularSwaggerView.as_view(), name="docs"),
    path("health", health.ready),
    path("health/live", health.live),
    path("health/ready", health.ready),
]

handler400 = "facesvc.api.bad_request"
handler404 = "facesvc.api.not_found"
handler500 = "facesvc.api.server_error"
