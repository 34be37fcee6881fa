"""Recognition itself: scores, sessions, the services that check pictures, the index."""

from facesvc.settings.table import Topic

faces = Topic("Recognition")
FACESVC_PACK = faces.text("FACESVC_PACK", "auto").says(
    "The model pack of a new database; later `manage.py models activate` changes it. `auto` is "
    "`permissive` if its files are here, or can be fetched by `make run`, else `dlib`: see "
    "docs/models.md."
)
# The range is between `basic` and `strict`, so that the levels stay in order.
VERIFICATION_THRESHOLD = faces.number("VERIFICATION_THRESHOLD", 0.85, (0.80, 0.95)).rules(
    "The confidence of the level `standard`, from 0.80 to 0.95. docs/accuracy.md says what it "
    "means."
)
FACE_MATCH_THRESHOLD = faces.number("FACE_MATCH_THRESHOLD", 0.80, (0.0, 0.9999)).rules(
    "The default `min_confidence` of identify. A search for a user cannot go below it."
)
FACESVC_FACES_PER_HOUR = faces.whole("FACESVC_FACES_PER_HOUR", 1000, (0, 1_000_000_000)).rules(
    "Faces that may be looked up for one user in an hour; 0 for no limit. See docs/risk.md."
)
MIN_FACE_QUALITY = faces.number("MIN_FACE_QUALITY", 0.60, (0.0, 1.0)).rules(
    "The least quality, from 0 to 1, of a face that `register` takes; see docs/quality.md."
)
FACESVC_REQUIRE_CONSENT = faces.flag("FACESVC_REQUIRE_CONSENT", False).rules(
    "Whether a face is stored only with `metadata.consent`, see docs/privacy.md."
)
FACESVC_INFERENCE_THREADS = faces.whole("FACESVC_INFERENCE_THREADS", 1).says(
    "Threads of one inference. More than one is rarely of use, since requests compute beside each "
    "other."
)
FACESVC_INFERENCE_PROVIDER = faces.text(
    "FACESVC_INFERENCE_PROVIDER", "cpu", ("cpu", "cuda", "openvino")
).says(
    "Who computes the networks: `cpu` (the processor), `cuda` (a GPU of NVIDIA) or `openvino`. "
    "Each needs its own package of onnxruntime, see docs/deployment.md. If it cannot start, the "
    "service is not ready: nothing stands in for it."
)

sessions = Topic("Sessions")
FACESVC_LOGIN_SESSION_SECONDS = sessions.whole(
    "FACESVC_LOGIN_SESSION_SECONDS", 180, (1, 3600)
).says("Seconds that a login lasts.")
FACESVC_LIVE_SESSION_MINUTES = sessions.whole(
    "FACESVC_LIVE_SESSION_MINUTES", 120, (1, 24 * 60)
).says("Minutes that a call lasts, and any other session that is no login.")
FACESVC_LIVE_FRAMES_PER_SECOND = sessions.number(
    "FACESVC_LIVE_FRAMES_PER_SECOND", 5, (0.1, 1000)
).says("Frames that a session takes in a second; more get 429.")
FACESVC_LIVE_FRAME_MEGAPIXELS = sessions.number(
    "FACESVC_LIVE_FRAME_MEGAPIXELS", 4, (0.01, 1000)
).says(
    "The largest frame, in megapixels; full HD has 2.1. The limit is lower than that of other "
    "pictures, since frames come often."
)
# In a window of two, frames that alternate would change the state each time.
FACESVC_LIVE_WINDOW = sessions.whole("FACESVC_LIVE_WINDOW", 5, (3, 100)).says(
    "Frames that decide the state of a call: the last ones."
)
FACESVC_LIVE_GAP_SECONDS = sessions.number("FACESVC_LIVE_GAP_SECONDS", 10, (0.1, 3600)).says(
    "Seconds without a frame after which the user of a call counts as lost."
)
FACESVC_LIVE_CHECK_SECONDS = sessions.number("FACESVC_LIVE_CHECK_SECONDS", 2, (0, 3600)).says(
    "Seconds between two anti-spoofing or deepfake checks of a call."
)
# The face that the others are compared with is kept no longer.
FACESVC_LIVE_MOTION_SECONDS = sessions.number(
    "FACESVC_LIVE_MOTION_SECONDS", 60, lambda settings: (1, 3600 * settings.FACESVC_REPLAY_HOURS)
).says(
    "Seconds within which the face of a verified call has to move; otherwise the state becomes "
    "`verifying`."
)
# A picture that was purged is not found again.
FACESVC_REPLAY_HOURS = sessions.whole(
    "FACESVC_REPLAY_HOURS", 24, lambda settings: (1, 24 * settings.FACESVC_SESSION_RETENTION_DAYS)
).rules(
    "Hours in which the same picture counts as replayed; no longer than "
    "`FACESVC_SESSION_RETENTION_DAYS`."
)
FACESVC_NEW_FACE_HOURS = sessions.whole("FACESVC_NEW_FACE_HOURS", 24, (0, 24 * 365)).says(
    "Hours in which a new face does not log in at `strict` if it is unlike the user's others; 0 "
    "for no wait."
)

spoofing = Topic("Anti-spoofing and deepfakes")
ANTISPOOFING_SERVICE_URL = spoofing.text("ANTISPOOFING_SERVICE_URL").says(
    "The address of the service that checks whether a face is alive, see docs/liveness.md. "
    "Without it the pack's own anti-spoofing is used, if the pack has one."
)
DEEPFAKE_DETECTION_SERVICE_URL = spoofing.text("DEEPFAKE_DETECTION_SERVICE_URL").says(
    "The address of the service that checks for deepfakes. Without it there is no such check."
)
FACESVC_PROVIDER_SECONDS = spoofing.number("FACESVC_PROVIDER_SECONDS", 2, (0.01, 60)).says(
    "Seconds that a request waits at most for the answers of both services."
)
FACESVC_LIVENESS_THRESHOLD = spoofing.number("FACESVC_LIVENESS_THRESHOLD", 0.5, (0.0, 1.0)).rules(
    "The least score, from 0 to 1, of a face that counts as alive. Below it a face counts as a "
    "fake."
)
FACESVC_DEEPFAKE_THRESHOLD = spoofing.number("FACESVC_DEEPFAKE_THRESHOLD", 0.5, (0.0, 1.0)).rules(
    "The least score, from 0 to 1, of a face that counts as no deepfake. Below it a face counts "
    "as a fake."
)
FACESVC_STRICT_CHECKS = spoofing.texts("FACESVC_STRICT_CHECKS", "antispoofing", "deepfake").says(
    "Checks whose answers `strict` needs. If the list is empty, `strict` only raises the threshold."
)
FACESVC_STRICT_PROVISIONAL = spoofing.flag("FACESVC_STRICT_PROVISIONAL", False).rules(
    "Whether `strict` accepts a model whose calibration is provisional, see docs/models.md."
)
FACESVC_READY_NEEDS_PROVIDERS = spoofing.flag("FACESVC_READY_NEEDS_PROVIDERS", False).says(
    "Whether `/health/ready` is 503 until both services are `ok`."
)

search = Topic("Search")
# Below 555,000 faces another way to search is at least as fast, even if everybody is public: see
# recognition.gallery.plans.
FACESVC_HNSW_FROM = search.whole("FACESVC_HNSW_FROM", 500_000, (1, 1_000_000_000)).says(
    "Faces from which a worker builds the HNSW index, see docs/sizing.md. The index makes each "
    "enrolment more expensive, and no search of a smaller gallery would use it. A worker drops it "
    "below three quarters of this."
)
# With these values a
# search finds every true match among 100,000 faces; with pgvector's own it loses a third, see
# docs/sizing.md. The ranges are pgvector's, but a search never asks for fewer than 100.
FACESVC_HNSW_M = search.whole("FACESVC_HNSW_M", 32, (2, 100)).says(
    "`m` of the index of large galleries, see docs/sizing.md. It takes effect when the index is "
    "built."
)
FACESVC_HNSW_EF_CONSTRUCTION = search.whole(
    "FACESVC_HNSW_EF_CONSTRUCTION",
    200,
    lambda settings: (max(4, 2 * settings.FACESVC_HNSW_M), 1000),
).says("`ef_construction` of that index. It takes effect when the index is built.")
FACESVC_HNSW_EF_SEARCH = search.whole("FACESVC_HNSW_EF_SEARCH", 400, (100, 1000)).says(
    "`ef_search` of a search by that index."
)
