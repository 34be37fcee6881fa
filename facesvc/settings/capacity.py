"""How much is taken at once: sizes of bodies, batches, calls of a token, threads and processes."""

from facesvc import machine
from facesvc.settings.table import Topic

pictures = Topic("Pictures and bodies")
MAX_IMAGE_SIZE_MB = pictures.number("MAX_IMAGE_SIZE_MB", 10).says(
    "The largest picture that may be sent, in megabytes; a larger one gets 413."
)
FACESVC_MAX_IMAGE_MEGAPIXELS = pictures.number("FACESVC_MAX_IMAGE_MEGAPIXELS", 40).says(
    "The largest picture after decoding, in megapixels; a larger one gets 413."
)
FACESVC_MAX_FACES_PER_IMAGE = pictures.whole("FACESVC_MAX_FACES_PER_IMAGE", 100).says(
    "The most faces of a picture that count: the largest ones."
)
FACESVC_SMALLEST_FACE = pictures.whole("FACESVC_SMALLEST_FACE", 40, (16, 100_000)).says(
    "The width, in pixels, of the smallest face that identify, detect, register and batches look "
    "for in a large picture. docs/models.md says how far each pack can go. A larger value makes "
    "large pictures faster."
)
# It is read line by line, and so may be larger than what fits into memory.
FACESVC_MAX_GRAPH_MB = pictures.number("FACESVC_MAX_GRAPH_MB", 100).says(
    "The largest body of `POST /graph`, in megabytes."
)

batches = Topic("Batches")
MAX_BATCH_SIZE = batches.whole("MAX_BATCH_SIZE", 100).says(
    "The most pictures that a batch may have."
)
FACESVC_MAX_BATCH_MB = batches.whole("FACESVC_MAX_BATCH_MB", 200).says(
    "The largest body of a batch, in megabytes. It takes four times as much memory. A process "
    "takes little more than one such body at once, and refuses the rest with 503."
)
# It keeps a thread of the web server busy.
FACESVC_BATCH_AT_ONCE_SECONDS = batches.whole("FACESVC_BATCH_AT_ONCE_SECONDS", 60).says(
    "Seconds that a batch may take if it is answered at once. A web process works on two such "
    "batches at a time, and refuses more with 503."
)
FACESVC_BATCH_QUEUE_LIMIT = batches.whole("FACESVC_BATCH_QUEUE_LIMIT", 200_000).says(
    "The most pictures that all jobs of a collection together may have waiting; more are refused "
    "with 503."
)
FACESVC_BATCH_QUEUE_MB = batches.whole("FACESVC_BATCH_QUEUE_MB", 20_000).says(
    "The most megabytes of pictures that all jobs of a collection together may have waiting; more "
    "are refused with 503. `FACESVC_FREE_DISK_MB` protects the disk, which all share."
)
FACESVC_BATCH_CLIENT_MB = batches.whole("FACESVC_BATCH_CLIENT_MB", 2_000, (0, 1_000_000_000)).rules(
    "The most megabytes of pictures that the jobs of one client or end user may have waiting."
)
FACESVC_FREE_DISK_MB = batches.whole("FACESVC_FREE_DISK_MB", 500).says(
    "Megabytes that stay free on the disk, if the database is on this machine: a batch that would "
    "need them is refused with 503."
)
ASYNC_PROCESSING_TIMEOUT = batches.whole("ASYNC_PROCESSING_TIMEOUT", 300).says(
    "Seconds that a job may take from its first picture on; then it ends with the results that it "
    "has."
)
FACESVC_BATCH_WAIT_HOURS = batches.whole("FACESVC_BATCH_WAIT_HOURS", 24).says(
    "Hours that a job may wait for its first picture to be taken, for example because no worker "
    "runs."
)
FACESVC_TASK_WORKERS = batches.whole("FACESVC_TASK_WORKERS", 1).says(
    "Processes that each `manage.py qcluster` starts to work on jobs."
)
# One picture waits for the database while another is computed.
FACESVC_TASK_THREADS = batches.whole("FACESVC_TASK_THREADS", 2).says(
    "Pictures that each process of a worker has in hand at the same time."
)
FACESVC_TASK_NICE = batches.whole("FACESVC_TASK_NICE", 10, (0, 19)).says(
    "How far the processes of a worker give way to others, such as the web server's: from 0 (not "
    "at all) to 19."
)

requests = Topic("Requests")
RATE_LIMIT_PER_MINUTE = requests.whole("RATE_LIMIT_PER_MINUTE", 60, (0, 1_000_000_000)).rules(
    "Calls that a token may make in a minute; 0 for no limit. `issue_token --calls-per-minute` "
    "makes tokens with a limit of their own."
)
RATE_LIMIT_PER_HOUR = requests.whole("RATE_LIMIT_PER_HOUR", 1000, (0, 1_000_000_000)).rules(
    "Calls that a token may make in an hour; 0 for no limit."
)

web = Topic("The web server")
# What a process takes with dlib under load, with some room.
WORKER_BYTES = 600 * 1024**2
# There are far more threads than compute at once: the others wait for their turn, or refuse with
# 503, which takes no time (see recognition.processes.slots). Connections that have no thread
# wait unseen, so there have to be enough threads to refuse what comes.
WEB_THREADS = web.whole("WEB_THREADS", 20).says(
    "Threads of each web process, see docs/deployment.md."
)
FACESVC_INFERENCE_AT_ONCE = web.whole(
    "FACESVC_INFERENCE_AT_ONCE",
    max(1, min(2, WEB_THREADS - 1)),
    (1, 1000),
    shown="`2`, but fewer than `WEB_THREADS`",
).says("Requests of a web process that compute at the same time.")
FACESVC_INFERENCE_WAITING = web.whole(
    "FACESVC_INFERENCE_WAITING",
    max(0, WEB_THREADS - FACESVC_INFERENCE_AT_ONCE - 4),
    (0, 10_000),
    shown="`14`: what `WEB_THREADS` leave when four stay free",
).says("Requests of a web process that may wait until they can compute; more get 503.")
FACESVC_INFERENCE_WAIT_SECONDS = web.number("FACESVC_INFERENCE_WAIT_SECONDS", 5, (0.01, 50)).says(
    "Seconds that a request waits at most until it can compute. One that would wait longer, by "
    "what the last ones took, gets 503 at once."
)

# Each core has a process. Networks compute outside the interpreter lock, but reading pictures and
# answering hold it. In a container there are as many processes as fit into its memory.
WEB_WORKERS = web.whole(
    "WEB_WORKERS",
    max(1, min(machine.cpus(), 8, machine.memory() // WORKER_BYTES)),
    shown="as many as cores, at most 8, and no more than fit into the memory at 600 MB each",
).says("Processes of the web server, see docs/deployment.md.")

# --- What follows from these ----------------------------------------------------------------------
# Connections to the database at most: one for each thread of the web server; for each process of
# the workers its threads, those that send callbacks, and long tasks; and some for commands.
MOST_CONNECTIONS = WEB_WORKERS * WEB_THREADS
MOST_CONNECTIONS += FACESVC_TASK_WORKERS * (FACESVC_TASK_THREADS + 8) + 10
MAX_IMAGE_BYTES = int(MAX_IMAGE_SIZE_MB * 1024 * 1024)
MAX_IMAGE_PIXELS = int(FACESVC_MAX_IMAGE_MEGAPIXELS * 1e6)
# A picture in base64, with some room: the answer can say of one that is a little too large that it
# is.
MAX_ENCODED_IMAGE_BYTES = int(MAX_IMAGE_BYTES * 1.5)
# The rest of a body is far smaller.
BODY_ROOM_BYTES = 64 * 1024
MAX_BODY_BYTES = 2 * MAX_ENCODED_IMAGE_BYTES + BODY_ROOM_BYTES
MAX_GRAPH_BYTES = int(FACESVC_MAX_GRAPH_MB * 1024 * 1024)
MAX_BATCH_BYTES = FACESVC_MAX_BATCH_MB * 1024 * 1024
# All bodies that a process holds at once: single pictures are taken beside the largest batch.
MAX_BODIES_BYTES = MAX_BATCH_BYTES + 2 * MAX_BODY_BYTES
# Uploads stay in memory: a picture of a person must not lie in a temporary file.
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.MemoryFileUploadHandler"]
# The limit of the API; facesvc.http.middleware has a lower one for other pages.
FILE_UPLOAD_MAX_MEMORY_SIZE = DATA_UPLOAD_MAX_MEMORY_SIZE = max(MAX_BODY_BYTES, MAX_BATCH_BYTES)
# More than a batch may have: the answer can say of one that is a little too large that it is.
DATA_UPLOAD_MAX_NUMBER_FILES = 2 * MAX_BATCH_SIZE
