"""The command line: `finn-cam`."""

import sys

from finn_build.interruption import end_if_requested, remembered, requested


def main() -> None:
    """Runs `finn-cam` and exits; Ctrl-C is one line from the first import on, even where an import swallows it."""
    with remembered():
        try:
            from finn_build.cli.app import main as run_and_exit

            end_if_requested()
        except BaseException:
            if not requested():
                raise
            print("finn-cam: interrupted before it began", file=sys.stderr)
            sys.exit(2)
        run_and_exit()
