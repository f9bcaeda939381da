"""FINN without Vivado: where it may write, and what it may print.

Nothing here is needed to import FINN's custom operators and transformations. What they read at run time is a build
folder and a settings file, from the environment or else from HOME, kept in a module-level variable.
"""

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silences FINN's logger and the warnings of third-party code, and restores both.

    FINN logs a warning for each pattern that a pass looked at and left, and warns of its own deprecations; what matters
    of that is checked by the passes here.
    """
    logger = logging.getLogger("finn_logger")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


@contextlib.contextmanager
def finn_session(folder: Path) -> Iterator[Path]:
    """Lets FINN write below `folder` and nowhere else, least of all in HOME.

    Args:
        folder: made if it is missing; FINN's temporary folders go there, one a node.

    Yields:
        The folder, absolute.
    """
    from finn.util import settings

    build = folder.resolve()
    build.mkdir(parents=True, exist_ok=True)
    kept = settings._SETTINGS
    # No such settings file is written or needed: naming one keeps FINN from making ~/.finn.
    variables = {"FINN_BUILD_DIR": str(build), "FINN_SETTINGS": str(build / "finn-settings.yaml")}
    with _environment(variables), quiet():
        settings._SETTINGS = None
        try:
            yield build
        finally:
            settings._SETTINGS = kept


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    kept = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)
