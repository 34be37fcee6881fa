"""Where the code is, where `.env` and the data are, and how a person types a command.

In a checkout, and in the image, everything is beside manage.py. An installed package has no
manage.py: `.env` and `data` are then in the folder in which the process was started.
"""

from pathlib import Path

BASE_DIR = Path(__file__).parents[1].resolve()
IS_CHECKOUT = (BASE_DIR / "manage.py").exists()
HOME_DIR = BASE_DIR if IS_CHECKOUT else Path.cwd()


def typed(command: str = "") -> str:
    """The command as a person types it in a terminal, such as `facesvc createsuperuser`."""
    program = ".venv/bin/python manage.py" if IS_CHECKOUT else "facesvc"
    return f"{program} {command}"


def spelled(text: str) -> str:
    """A message that names commands of manage.py, for a place that may have no manage.py."""
    return text if IS_CHECKOUT else text.replace("manage.py ", "facesvc ")
