from django.urls import register_converter

from batch.api import views
from recognition.api import service_view


class JobIdConverter:
    regex = "job_[0-9a-f]{16}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(JobIdConverter, "job_id")

router = service_view.router()
router.register("", views.BatchViewSet, "batches")
router.register("batch-jobs", views.JobViewSet, "batch-job")
urlpatterns = router.urls
