"""Recognition itself: scores, keys, sessions, the services that check pictures, the index."""

from facesvc.environment import env, secrets

# --- Recognition ----------------------------------------------------------------------------------
#: The model pack of a new database; later `manage.py models activate` changes it.
FACESVC_PACK = env.str("FACESVC_PACK", "dlib")
#: The confidence of `standard`, from 0.80 to 0.95; docs/accuracy.md says what it means.
VERIFICATION_THRESHOLD = env.float("VERIFICATION_THRESHOLD", 0.85)
#: The default `min_confidence` of identify, and the least of a search for a user.
FACE_MATCH_THRESHOLD = env.float("FACE_MATCH_THRESHOLD", 0.80)
#: Faces that may be looked up for one user in an hour; 0 for no limit. See docs/risk.md.
FACESVC_FACES_PER_HOUR = env.int("FACESVC_FACES_PER_HOUR", 1000)
#: Below this quality `register` refuses a face, from 0 to 1. The default refuses 1.1% of 3,562
#: photos of Labeled Faces in the Wild with the default pack.
MIN_FACE_QUALITY = env.float("MIN_FACE_QUALITY", 0.60)
#: A face is stored with `metadata.consent` only, see docs/privacy.md.
FACESVC_REQUIRE_CONSENT = env.bool("FACESVC_REQUIRE_CONSENT", False)
#: Threads of one inference; concurrency comes from requests.
FACESVC_INFERENCE_THREADS = env.int("FACESVC_INFERENCE_THREADS", 1)

# --- Keys -----------------------------------------------------------------------------------------
#: Encrypt the kept pictures of enrolled faces, so that another model can take over, those that wait
#: in jobs, and webhook secrets: each 32 bytes in URL-safe base64, the newest first. Without one,
#: jobs and callbacks are refused. docs/operations.md says how to make and change them.
#: Default: written into `.env` by `make`
FACESVC_CROP_KEYS = secrets("FACESVC_CROP_KEYS")
#: Keep an encrypted picture of every enrolled face.
#: Default: `true` with a key in `FACESVC_CROP_KEYS`
STORE_FACE_CROPS = env.bool("STORE_FACE_CROPS", bool(FACESVC_CROP_KEYS))
#: Keys of the secret rotation that protects the templates. Without one, a thief who has the table
#: and photos of people can name them in it. Each has 32 bytes in URL-safe base64, the newest first.
#: Default: written into `.env` by `make`
FACESVC_TEMPLATE_KEYS: tuple[str, ...] = tuple(secrets("FACESVC_TEMPLATE_KEYS"))

# --- Sessions -------------------------------------------------------------------------------------
#: How long a login lasts.
FACESVC_LOGIN_SESSION_SECONDS = env.int("FACESVC_LOGIN_SESSION_SECONDS", 180)
#: How long a call lasts, and any other session that is no login.
FACESVC_LIVE_SESSION_MINUTES = env.int("FACESVC_LIVE_SESSION_MINUTES", 120)
#: Frames that a session may take a second; more get 429.
FACESVC_LIVE_FRAMES_PER_SECOND = env.float("FACESVC_LIVE_FRAMES_PER_SECOND", 5)
#: The most that a frame may have: frames may come often, and full HD has 2.1.
FACESVC_LIVE_FRAME_MEGAPIXELS = env.float("FACESVC_LIVE_FRAME_MEGAPIXELS", 4)
#: Frames that make the state of a call.
FACESVC_LIVE_WINDOW = env.int("FACESVC_LIVE_WINDOW", 5)
#: Without a frame for so long the user of a call is lost.
FACESVC_LIVE_GAP_SECONDS = env.float("FACESVC_LIVE_GAP_SECONDS", 10)
#: Seconds between two anti-spoofing or deepfake checks of a call.
FACESVC_LIVE_CHECK_SECONDS = env.float("FACESVC_LIVE_CHECK_SECONDS", 2)
#: Seconds within which the face of a verified call has to move, else its state is `verifying`.
FACESVC_LIVE_MOTION_SECONDS = env.float("FACESVC_LIVE_MOTION_SECONDS", 60)
#: How long the same picture counts as replayed; no longer than `FACESVC_SESSION_RETENTION_DAYS`.
FACESVC_REPLAY_HOURS = env.int("FACESVC_REPLAY_HOURS", 24)

#: How long a new face that is unlike the user's others does not log in at `strict`; 0 for no wait.
FACESVC_NEW_FACE_HOURS = env.int("FACESVC_NEW_FACE_HOURS", 24)

# --- Anti-spoofing and deepfakes ------------------------------------------------------------------
#: The service that pictures are sent to, see docs/liveness.md. Without it the pack's own
#: anti-spoofing is used, where it has one.
ANTISPOOFING_SERVICE_URL = env.str("ANTISPOOFING_SERVICE_URL", "")
#: The same for deepfakes, without the pack.
DEEPFAKE_DETECTION_SERVICE_URL = env.str("DEEPFAKE_DETECTION_SERVICE_URL", "")
#: Seconds that a request waits for the answers of both at most.
FACESVC_PROVIDER_SECONDS = env.float("FACESVC_PROVIDER_SECONDS", 2)
#: From this score on, from 0 to 1, a face counts as alive; below, as a fake.
FACESVC_LIVENESS_THRESHOLD = env.float("FACESVC_LIVENESS_THRESHOLD", 0.5)
#: From this score on, from 0 to 1, a face counts as no deepfake; below, as a fake.
FACESVC_DEEPFAKE_THRESHOLD = env.float("FACESVC_DEEPFAKE_THRESHOLD", 0.5)
#: Without whose answers `strict` refuses; empty for a stricter threshold and no more.
FACESVC_STRICT_CHECKS: list[str] = env.list("FACESVC_STRICT_CHECKS", ["antispoofing", "deepfake"])
#: `/health/ready` is 503 until all of the services are `ok`.
FACESVC_READY_NEEDS_PROVIDERS = env.bool("FACESVC_READY_NEEDS_PROVIDERS", False)

# --- Search ---------------------------------------------------------------------------------------
# Of the HNSW index, for galleries beyond some hundred thousand faces. These find every true match
# among 100,000 faces where pgvector's own values lose a third; see docs/sizing.md.
#: `m` of the index of large galleries, see docs/sizing.md. It counts when the index is built.
FACESVC_HNSW_M = env.int("FACESVC_HNSW_M", 32)
#: `ef_construction` of that index, which also counts when it is built.
FACESVC_HNSW_EF_CONSTRUCTION = env.int("FACESVC_HNSW_EF_CONSTRUCTION", 200)
#: `ef_search` of a search by that index.
FACESVC_HNSW_EF_SEARCH = env.int("FACESVC_HNSW_EF_SEARCH", 400)
