"""`python -m pyloader`: see cli.py."""

import sys

from pyloader._tools.cli import main

if __name__ == "__main__":
    sys.exit(main())
