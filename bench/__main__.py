"""python -m bench: the scoreboard; `compare` two of its results; `publish` some."""

import sys

from bench import compare, publish, scoreboard

COMMANDS = {"compare": compare.main, "publish": publish.main}


def main() -> int:
    """Runs the command that the first argument names, else the scoreboard."""
    arguments = sys.argv[1:]
    if arguments and arguments[0] in COMMANDS:
        return COMMANDS[arguments[0]](arguments[1:])
    return scoreboard.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
