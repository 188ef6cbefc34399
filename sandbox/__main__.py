"""`python -m sandbox engine up|down|status` and `python -m sandbox image build`: what the sandbox needs to be there."""

from __future__ import annotations

import sys

from sandbox import engine, image

COMMANDS = {"engine": engine.main, "image": image.main}


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] not in COMMANDS:
        print(__doc__, file=sys.stderr)
        return 2
    return COMMANDS[arguments[0]](arguments[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
