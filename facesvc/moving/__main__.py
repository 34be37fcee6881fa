"""The command where only the client is installed: `python -m facesvc.moving`."""

import sys

from facesvc.moving.command import main

if __name__ == "__main__":
    sys.exit(main())
