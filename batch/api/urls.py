from django.urls import register_converter
from django.urls.converters import StringConverter

from batch.api import views
from recognition.api import service_view


class JobIdConverter(StringConverter):
    regex = "job_[0-9a-f]{16}"


register_converter(JobIdConverter, "job_id")

router = service_view.router()
router.register("", views.BatchViewSet, "batches")
router.register("batch-jobs", views.JobViewSet, "batch-job")
urlpatterns = router.urls
