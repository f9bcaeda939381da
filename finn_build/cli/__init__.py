"""The command line: `finn-cam`."""

from finn_build.cli.app import main

__all__ = ["main"]
