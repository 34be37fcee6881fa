from django.urls import path, register_converter

from batch.api import views


class JobIdConverter:
    regex = "job_[0-9a-f]{16}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(JobIdConverter, "job_id")

urlpatterns = [
    path("batch-identify", views.BatchIdentifyView.as_view(), name="batch-identify"),
    path("batch-register", views.BatchRegisterView.as_view(), name="batch-register"),
    path("batch-jobs", views.JobsView.as_view(), name="batch-jobs"),
    path("batch-jobs/<job_id:job_id>", views.JobView.as_view(), name="batch-job"),
    path(
        "batch-jobs/<job_id:job_id>/results",
        views.JobResultsView.as_view(),
        name="batch-job-results",
    ),
    path(
        "batch-jobs/<job_id:job_id>/cancel", views.CancelJobView.as_view(), name="batch-job-cancel"
    ),
]
