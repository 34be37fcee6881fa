"""How much is taken at once: sizes of bodies, batches, calls of a token, threads and processes."""

from facesvc import machine
from facesvc.settings.table import Topic

pictures = Topic("Pictures and bodies")
MAX_IMAGE_SIZE_MB = pictures.number("MAX_IMAGE_SIZE_MB", 10).says(
    "The most that a picture may have as it is sent, in megabytes; more gets 413."
)
FACESVC_MAX_IMAGE_MEGAPIXELS = pictures.number("FACESVC_MAX_IMAGE_MEGAPIXELS", 40).says(
    "The most that a picture may have when it is decoded, in megapixels; more gets 413."
)
FACESVC_MAX_FACES_PER_IMAGE = pictures.whole("FACESVC_MAX_FACES_PER_IMAGE", 100).says(
    "At most so many faces of a picture count: the largest ones."
)
# It is read line by line, and so may be larger than what fits into memory.
FACESVC_MAX_GRAPH_MB = pictures.number("FACESVC_MAX_GRAPH_MB", 100).says(
    "The most that a body of `POST /graph` may have, in megabytes."
)

batches = Topic("Batches")
MAX_BATCH_SIZE = batches.whole("MAX_BATCH_SIZE", 100).says(
    "The most pictures that a batch may have."
)
FACESVC_MAX_BATCH_MB = batches.whole("FACESVC_MAX_BATCH_MB", 200).says(
    "The body of a batch, which is held in memory four times over. A process takes little more "
    "than one of these at once, and refuses the rest with 503."
)
# A thread of the web server is busy with it.
FACESVC_BATCH_AT_ONCE_SECONDS = batches.whole("FACESVC_BATCH_AT_ONCE_SECONDS", 60).says(
    "So long may a batch take that is answered at once. A web process works on two of these at a "
    "time, and refuses more with 503."
)
FACESVC_BATCH_QUEUE_LIMIT = batches.whole("FACESVC_BATCH_QUEUE_LIMIT", 200_000).says(
    "Pictures of all jobs that are not done; more are refused with 503."
)
FACESVC_BATCH_QUEUE_MB = batches.whole("FACESVC_BATCH_QUEUE_MB", 20_000).says(
    "Megabytes of pictures of all jobs that are not done; more are refused with 503."
)
FACESVC_BATCH_CLIENT_MB = batches.whole("FACESVC_BATCH_CLIENT_MB", 2_000).says(
    "The same for the jobs of one client or end user."
)
FACESVC_FREE_DISK_MB = batches.whole("FACESVC_FREE_DISK_MB", 500).says(
    "Megabytes that stay free on the disk of a database on this machine; a batch that would need "
    "them is refused with 503."
)
ASYNC_PROCESSING_TIMEOUT = batches.whole("ASYNC_PROCESSING_TIMEOUT", 300).says(
    "Seconds that a job may take from its first picture on; then it ends with what it has."
)
FACESVC_BATCH_WAIT_HOURS = batches.whole("FACESVC_BATCH_WAIT_HOURS", 24).says(
    "How long a job may wait for its first picture's turn, as when no worker runs."
)
FACESVC_TASK_WORKERS = batches.whole("FACESVC_TASK_WORKERS", 1).says(
    "Processes of each `manage.py qcluster`, which work on jobs."
)
# One waits for the database while another is computed.
FACESVC_TASK_THREADS = batches.whole("FACESVC_TASK_THREADS", 2).says(
    "Pictures that each of these processes has at once."
)
FACESVC_TASK_NICE = batches.whole("FACESVC_TASK_NICE", 10, (0, 19)).says(
    "How far these processes give way to others, such as the web server's: from 0 (not at all) to "
    "19."
)

requests = Topic("Requests")
RATE_LIMIT_PER_MINUTE = requests.whole("RATE_LIMIT_PER_MINUTE", 60).says(
    "Calls of a token in a minute; 0 for no limit. `issue_token --calls-per-minute` makes tokens "
    "with a limit of their own."
)
RATE_LIMIT_PER_HOUR = requests.whole("RATE_LIMIT_PER_HOUR", 1000).says(
    "Calls of a token in an hour; 0 for no limit."
)

web = Topic("The web server")
# What a process takes with the default pack under load, and some room.
WORKER_BYTES = 600 * 1024**2
_MOST_WORKERS = 8
# Far more than compute at once: the others wait for their turn or refuse with 503, which takes no
# time, see recognition.processes.capacity. Connections beyond them wait unseen, so these must be
# enough to refuse what comes.
WEB_THREADS = web.whole("WEB_THREADS", 12).says(
    "Threads of each web process, see docs/deployment.md."
)
FACESVC_INFERENCE_AT_ONCE = web.whole(
    "FACESVC_INFERENCE_AT_ONCE",
    max(1, min(2, WEB_THREADS - 1)),
    (1, 1000),
    shown="`2`, but fewer than `WEB_THREADS`",
).says("Requests of a process that compute at once.")
FACESVC_INFERENCE_WAITING = web.whole(
    "FACESVC_INFERENCE_WAITING",
    max(0, WEB_THREADS - FACESVC_INFERENCE_AT_ONCE - 4),
    (0, 10_000),
    shown="`6`: what `WEB_THREADS` leave when four stay free",
).says("Requests of a process that wait for their turn to compute; more get 503.")
FACESVC_INFERENCE_WAIT_SECONDS = web.number("FACESVC_INFERENCE_WAIT_SECONDS", 5, (0.01, 50)).says(
    "How long they wait at most; then they get 503."
)

# A process for each core, each with the networks: they compute outside the interpreter lock, but
# reading pictures and answering does not. In a container, as many as fit into its memory.
WEB_WORKERS = web.whole(
    "WEB_WORKERS",
    max(1, min(machine.cpus(), _MOST_WORKERS, machine.memory() // WORKER_BYTES)),
    shown="as many as cores, at most 8, and no more than fit into the memory at 600 MB each",
).says("Processes that answer, see docs/deployment.md.")

# --- What follows from these ----------------------------------------------------------------------
MAX_IMAGE_BYTES = int(MAX_IMAGE_SIZE_MB * 1024 * 1024)
MAX_IMAGE_PIXELS = int(FACESVC_MAX_IMAGE_MEGAPIXELS * 1e6)
# A picture in base64, with some room, so that one that is a little too large is told to be so.
MAX_ENCODED_IMAGE_BYTES = int(MAX_IMAGE_BYTES * 1.5)
# What else a body holds is far below this.
BODY_ROOM_BYTES = 64 * 1024
MAX_BODY_BYTES = 2 * MAX_ENCODED_IMAGE_BYTES + BODY_ROOM_BYTES
MAX_GRAPH_BYTES = int(FACESVC_MAX_GRAPH_MB * 1024 * 1024)
MAX_BATCH_BYTES = FACESVC_MAX_BATCH_MB * 1024 * 1024
# All bodies that a process holds at once: beside the largest batch single pictures are still taken.
MAX_BODIES_BYTES = MAX_BATCH_BYTES + 2 * MAX_BODY_BYTES
# Uploads stay in memory: a picture of a person must not lie in a temporary file.
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.MemoryFileUploadHandler"]
# For the API; facesvc.http.middleware refuses less elsewhere.
FILE_UPLOAD_MAX_MEMORY_SIZE = DATA_UPLOAD_MAX_MEMORY_SIZE = max(MAX_BODY_BYTES, MAX_BATCH_BYTES)
# Some more than a batch takes, so that one that is a little too large is told to be so.
DATA_UPLOAD_MAX_NUMBER_FILES = 2 * MAX_BATCH_SIZE
