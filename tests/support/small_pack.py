"""A pack named permissive whose two networks are one small made-up file."""

import random
from pathlib import Path
from typing import Any

import yaml

from tests.support.servers.pulling import PROJECT, digest

NAME = "networks.onnx"
DATA = random.Random(15).randbytes(100_000)
KEPT = f"networks-{digest(DATA)[:12]}.onnx"


def small_permissive(folder: Path, url: str, **changes: Any) -> None:
    """Write its pack.yaml into the folder. Its one file is at `url`; it can be pulled, not run."""
    raw = yaml.safe_load((PROJECT / "ml_models" / "permissive" / "pack.yaml").read_text())
    for network in ("head_pose", "eyes", "liveness", "attributes"):
        del raw[network]
    file = {"file": NAME, "licence": "MIT", "sha256": digest(DATA), "bytes": len(DATA)}
    raw["detector"]["weights"] = raw["recogniser"]["weights"] = {**file, "urls": [url]}
    (folder / "permissive").mkdir(parents=True, exist_ok=True)
    (folder / "permissive" / "pack.yaml").write_text(yaml.safe_dump(raw | changes))
