from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularSwaggerSplitView

from facesvc import health, metrics
from facesvc.description import DescriptionView
from facesvc.page import views as page

_docs = SpectacularSwaggerSplitView.as_view(throttle_classes=[], template_name="page/api_docs.html")

urlpatterns = [
    path("", page.index, name="page"),
    path("api/v1/face-recognition/", include("recognition.urls")),
    path("api/v1/face-recognition/", include("management.urls")),
    path("api/v1/face-recognition/", include("batch.urls")),
    path("admin/", admin.site.urls),
    path("api/schema", DescriptionView.as_view(), name="schema"),
    path("api/docs", _docs, name="docs"),
    path("api/docs/", RedirectView.as_view(pattern_name="docs")),
    path("docs", RedirectView.as_view(pattern_name="docs")),
    path("health", health.ready),
    path("health/live", health.live),
    path("health/ready", health.ready),
    path("metrics", metrics.view),
]

handler400 = "facesvc.operators.failures.bad_request"
handler403 = "facesvc.operators.failures.forbidden"
handler404 = "facesvc.operators.failures.not_found"
handler500 = "facesvc.operators.failures.server_error"
