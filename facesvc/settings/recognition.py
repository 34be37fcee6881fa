"""Recognition itself: scores, sessions, the services that check pictures, the index."""

from facesvc.settings.table import Topic

faces = Topic("Recognition")
FACESVC_PACK = faces.text("FACESVC_PACK", "dlib").says(
    "The model pack of a new database; later `manage.py models activate` changes it."
)
# Between `basic` and `strict`, or the levels would not be in order.
VERIFICATION_THRESHOLD = faces.number("VERIFICATION_THRESHOLD", 0.85, (0.80, 0.95)).says(
    "The confidence of `standard`, from 0.80 to 0.95; docs/accuracy.md says what it means."
)
FACE_MATCH_THRESHOLD = faces.number("FACE_MATCH_THRESHOLD", 0.80, (0.0, 0.9999)).says(
    "The default `min_confidence` of identify, and the least of a search for a user."
)
FACESVC_FACES_PER_HOUR = faces.whole("FACESVC_FACES_PER_HOUR", 1000, (0, 1_000_000_000)).says(
    "Faces that may be looked up for one user in an hour; 0 for no limit. See docs/risk.md."
)
MIN_FACE_QUALITY = faces.number("MIN_FACE_QUALITY", 0.60, (0.0, 1.0)).says(
    "Below this quality `register` refuses a face, from 0 to 1. The default refuses 1.1% of 3,562 "
    "photos of Labeled Faces in the Wild with the default pack."
)
FACESVC_REQUIRE_CONSENT = faces.flag("FACESVC_REQUIRE_CONSENT", False).says(
    "A face is stored with `metadata.consent` only, see docs/privacy.md."
)
FACESVC_INFERENCE_THREADS = faces.whole("FACESVC_INFERENCE_THREADS", 1).says(
    "Threads of one inference; concurrency comes from requests."
)

sessions = Topic("Sessions")
FACESVC_LOGIN_SESSION_SECONDS = sessions.whole(
    "FACESVC_LOGIN_SESSION_SECONDS", 180, (1, 3600)
).says("How long a login lasts.")
FACESVC_LIVE_SESSION_MINUTES = sessions.whole(
    "FACESVC_LIVE_SESSION_MINUTES", 120, (1, 24 * 60)
).says("How long a call lasts, and any other session that is no login.")
FACESVC_LIVE_FRAMES_PER_SECOND = sessions.number(
    "FACESVC_LIVE_FRAMES_PER_SECOND", 5, (0.1, 1000)
).says("Frames that a session may take a second; more get 429.")
FACESVC_LIVE_FRAME_MEGAPIXELS = sessions.number(
    "FACESVC_LIVE_FRAME_MEGAPIXELS", 4, (0.01, 1000)
).says("The most that a frame may have: frames may come often, and full HD has 2.1.")
# In two frames an alternation would be the state that changes with each of them.
FACESVC_LIVE_WINDOW = sessions.whole("FACESVC_LIVE_WINDOW", 5, (3, 100)).says(
    "Frames that make the state of a call."
)
FACESVC_LIVE_GAP_SECONDS = sessions.number("FACESVC_LIVE_GAP_SECONDS", 10, (0.1, 3600)).says(
    "Without a frame for so long the user of a call is lost."
)
FACESVC_LIVE_CHECK_SECONDS = sessions.number("FACESVC_LIVE_CHECK_SECONDS", 2, (0, 3600)).says(
    "Seconds between two anti-spoofing or deepfake checks of a call."
)
# The face that others are compared with is kept for no longer.
FACESVC_LIVE_MOTION_SECONDS = sessions.number(
    "FACESVC_LIVE_MOTION_SECONDS", 60, lambda settings: (1, 3600 * settings.FACESVC_REPLAY_HOURS)
).says(
    "Seconds within which the face of a verified call has to move, else its state is `verifying`."
)
# What is purged is not found again.
FACESVC_REPLAY_HOURS = sessions.whole(
    "FACESVC_REPLAY_HOURS", 24, lambda settings: (1, 24 * settings.FACESVC_SESSION_RETENTION_DAYS)
).says(
    "How long the same picture counts as replayed; no longer than `FACESVC_SESSION_RETENTION_DAYS`."
)
FACESVC_NEW_FACE_HOURS = sessions.whole("FACESVC_NEW_FACE_HOURS", 24, (0, 24 * 365)).says(
    "How long a new face that is unlike the user's others does not log in at `strict`; 0 for no "
    "wait."
)

spoofing = Topic("Anti-spoofing and deepfakes")
ANTISPOOFING_SERVICE_URL = spoofing.text("ANTISPOOFING_SERVICE_URL").says(
    "The service that pictures are sent to, see docs/liveness.md. Without it the pack's own "
    "anti-spoofing is used, where it has one."
)
DEEPFAKE_DETECTION_SERVICE_URL = spoofing.text("DEEPFAKE_DETECTION_SERVICE_URL").says(
    "The same for deepfakes, without the pack."
)
FACESVC_PROVIDER_SECONDS = spoofing.number("FACESVC_PROVIDER_SECONDS", 2, (0.01, 60)).says(
    "Seconds that a request waits for the answers of both at most."
)
FACESVC_LIVENESS_THRESHOLD = spoofing.number("FACESVC_LIVENESS_THRESHOLD", 0.5, (0.0, 1.0)).says(
    "From this score on, from 0 to 1, a face counts as alive; below, as a fake."
)
FACESVC_DEEPFAKE_THRESHOLD = spoofing.number("FACESVC_DEEPFAKE_THRESHOLD", 0.5, (0.0, 1.0)).says(
    "From this score on, from 0 to 1, a face counts as no deepfake; below, as a fake."
)
FACESVC_STRICT_CHECKS = spoofing.texts("FACESVC_STRICT_CHECKS", "antispoofing", "deepfake").says(
    "Without whose answers `strict` refuses; empty for a stricter threshold and no more."
)
FACESVC_READY_NEEDS_PROVIDERS = spoofing.flag("FACESVC_READY_NEEDS_PROVIDERS", False).says(
    "`/health/ready` is 503 until all of the services are `ok`."
)

search = Topic("Search")
# The HNSW index is for galleries beyond some hundred thousand faces. These find every true match
# among 100,000 faces where pgvector's own values lose a third; see docs/sizing.md.
# The ranges are pgvector's, but for the least ef_search: fewer than a search asks for.
FACESVC_HNSW_M = search.whole("FACESVC_HNSW_M", 32, (2, 100)).says(
    "`m` of the index of large galleries, see docs/sizing.md. It counts when the index is built."
)
FACESVC_HNSW_EF_CONSTRUCTION = search.whole(
    "FACESVC_HNSW_EF_CONSTRUCTION",
    200,
    lambda settings: (max(4, 2 * settings.FACESVC_HNSW_M), 1000),
).says("`ef_construction` of that index, which also counts when it is built.")
FACESVC_HNSW_EF_SEARCH = search.whole("FACESVC_HNSW_EF_SEARCH", 400, (100, 1000)).says(
    "`ef_search` of a search by that index."
)
