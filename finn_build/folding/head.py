"""A folding file serves a network with a CAM block and the same network without it."""

from pathlib import Path

from finn_build.errors import UserError
from finn_build.folding.config import Folding, read_folding

CAM = "ClassActivationMap"
"""How the CAM block's node is called, with its number behind it."""


def without_cam(folding: Folding) -> Folding:
    """A folding as it is for the same network without its CAM block."""
    return {name: values for name, values in folding.items() if not name.startswith(CAM)}


def require_same_head(folding_file: Path, config: str, head: str) -> None:
    """Checks that a folding file, or evidence of it, may be written for a config.

    Raises:
        UserError: the file folds a CAM block too, which this config's network has not: it is another config's.
    """
    if head != "cam" and folding_file.is_file():
        folding = read_folding(folding_file)
        if without_cam(folding) != folding:
            got = f"{folding_file.name}, which folds a CAM block too"
            remedy = "name another in [folding] file of a copy of the config"
            raise UserError(f"{config}: [folding] file", f"a file of its own, for head = {head}", got, remedy)
