"""The command line: `finn-cam`."""

import sys


def main() -> None:
    """Runs `finn-cam` and exits; Ctrl-C is one line from the first import on."""
    try:
        from finn_build.cli.app import main as run_and_exit
    except KeyboardInterrupt:
        print("finn-cam: interrupted before it began", file=sys.stderr)
        sys.exit(2)
    run_and_exit()
