from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularSwaggerSplitView

from facesvc.aws import protocol as aws
from facesvc.http import health, metrics
from facesvc.openapi.description import DescriptionView
from facesvc.page import views as page

_docs = SpectacularSwaggerSplitView.as_view(throttle_classes=[], template_name="page/api_docs.html")

urlpatterns = [
    path("", page.index, name="page"),
    path("api/v1/face-recognition/", include("recognition.api.urls")),
    path("api/v1/face-recognition/", include("management.api.urls")),
    path("api/v1/face-recognition/", include("batch.api.urls")),
    path("aws", aws.view),
    path("aws/", aws.view),
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

handler400 = "facesvc.http.failures.bad_request"
handler403 = "facesvc.http.failures.forbidden"
handler404 = "facesvc.http.failures.not_found"
handler500 = "facesvc.http.failures.server_error"
