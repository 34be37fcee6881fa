"""The default pack without its cohort: what most tests take for it.

They decide what the embeddings are, and a cohort of real faces would make nothing of those. With
the pack as it ships there are tests/recognition/packs/test_normalised.py and those that start
processes.
"""

from pathlib import Path

from recognition.measuring import cohorts

_SUPPORT = Path(__file__).parent


def write_plain_pack(folder: Path) -> None:
    shipped = (_SUPPORT.parents[1] / "ml_models" / "dlib" / "pack.yaml").read_text()
    head = cohorts.without(shipped).partition("\ncalibration:\n")[0].rstrip("\n")
    folder.mkdir()
    calibration = (_SUPPORT / "plain_calibration.yaml").read_text()
    (folder / "pack.yaml").write_text(f"{head}\n\n{calibration}")
