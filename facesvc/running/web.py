"""`facesvc web`: the web server alone, with the settings of gunicorn_conf.

gunicorn puts the current folder before everything else that Python imports, unless it is on the
path already. There it comes last, so that a folder `batch` in it does not stand for ours.
"""

import sys

from gunicorn import util
from gunicorn.app.wsgiapp import run


def main() -> None:
    if (here := util.getcwd()) not in sys.path:
        sys.path.append(here)
    sys.argv[:1] = ["gunicorn", "--config=python:facesvc.running.gunicorn_conf"]
    run(prog="facesvc web")


if __name__ == "__main__":
    main()
