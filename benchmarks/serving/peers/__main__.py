"""``python -m benchmarks.serving.peers``: build the peers' environments."""

import argparse

from benchmarks.serving.peers.environments import FOLDER, REQUIREMENTS, build

_DESCRIPTION = f"""\
Build a virtual environment for each peer under {FOLDER}, with packages from PyPI (about 1 GB in
all). What is already there is kept; delete a folder to build it anew.
"""


def main() -> None:
    """Build what is asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving.peers", description=_DESCRIPTION
    )
    parser.add_argument(
        "peer", nargs="*", choices=[*REQUIREMENTS, []], help="which (default: every one)"
    )
    for peer in parser.parse_args().peer or REQUIREMENTS:
        print(build(peer))


if __name__ == "__main__":
    main()
