"""`python -m tests.fuzz.fuzzing_pictures SEED FIRST LAST`: decodes what tests.fuzz.fuzz_structures
makes.

In a process of its own, which the kernel ends when one picture takes more than `MOST_SECONDS` of
CPU or the process more than `MOST_BYTES`: each number is written to the standard output before its
picture is decoded, and a line with what became of it afterwards.
"""

import json
import resource
import signal
import sys
import time

from recognition.inference.images import ImageError, decode
from tests.fuzz.fuzz_structures import make

# The worst that is known takes 1.2 s on a quiet machine and 0.7 GB.
MOST_SECONDS = 10
MOST_BYTES = 4 * 1024**3


def main(seed: int, first: int, last: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    for number in range(first, last):
        made = make(seed, number)
        print(number, flush=True)
        signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)  # whose signal ends the process
        started = time.process_time()
        try:
            decode(made.data, max_bytes=10 * 1024**2, max_pixels=40_000_000)
            outcome = "decoded"
        except ImageError as error:
            outcome = error.code
        seconds = time.process_time() - started
        signal.setitimer(signal.ITIMER_PROF, 0)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(json.dumps([seconds, number, made.kind, outcome, len(made.data), grown]), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
