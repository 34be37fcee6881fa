from recognition.api import service_view, views

router = service_view.router()
router.register("", views.VerbViewSet, "verbs")
router.register("sessions", views.SessionViewSet, "sessions")
router.register("sessions/<str:session_id>/frames", views.FrameViewSet, "frames")
urlpatterns = router.urls
