"""The benchmark of enrolments: it enrols as the service does, and says what that wrote."""

import re
import subprocess
import sys

import pytest

from benchmarks.service import PROJECT


@pytest.mark.slow
def test_it_works() -> None:
    command = [sys.executable, "-m", "benchmarks.enrolment", "--faces", "600"]
    ended = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    costs = re.findall(r"([\d.]+) kB of log, ([\d.]+) ms of CPU", ended.stdout)
    assert len(costs) == 4 and all(float(each) > 0 for row in costs for each in row)
    wrote = dict(re.findall(r"^(\w+) +pages +\d+ bytes, rows +(\d+)$", ended.stdout, re.M))
    # A template has 512 numbers of two bytes.
    assert 1024 < int(wrote["recognition_template"]) < 2048
    assert {"recognition_face", "recognition_sketch", "recognition_listing"} <= wrote.keys()
