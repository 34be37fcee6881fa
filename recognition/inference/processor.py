"""What the processor is fast at."""

import platform
from functools import lru_cache
from pathlib import Path

_FLAGS = Path("/proc/cpuinfo")
# Instructions that multiply 8-bit integers and add up 32-bit ones: VNNI and AMX. Without them,
# onnxruntime takes two steps with sums of 16 bits, which overflow and are no faster than floats.
_INSTRUCTIONS = {"avx512_vnni", "avx_vnni", "amx_int8"}


@lru_cache
def multiplies_integers() -> bool:
    """Whether networks of 8-bit integers are faster here than those of floats, and as right.

    Nobody measured it but on x86 with Linux, so the answer is no elsewhere.
    """
    if platform.machine() != "x86_64":
        return False
    return not _INSTRUCTIONS.isdisjoint(_flags())


def _flags() -> set[str]:
    """Those of the first processor; none where Linux does not list them."""
    try:
        lines = _FLAGS.read_text().splitlines()
    except OSError:
        return set()
    return next((set(line.split()) for line in lines if line.startswith("flags")), set())
