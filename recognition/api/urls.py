from recognition.api import service_view, session_views, views

router = service_view.router()
router.register("", views.VerbViewSet, "verbs")
router.register("sessions", session_views.SessionViewSet, "sessions")
router.register("sessions/<str:session_id>/frames", session_views.FrameViewSet, "frames")
urlpatterns = router.urls
