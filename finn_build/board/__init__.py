"""The board's driver: class, score, heatmap, peak and box of pictures, computed by the accelerator on a PYNQ-Z2.

A package carries this folder as `cam_board/`, with the project's `hostside.py` in place of the one here. It needs the
standard library, numpy (1.21 or newer, below 2) and pynq alone, and Python 3.10.

    from cam_board import CamAccelerator
    with CamAccelerator("bitfile/resnet8_5w5a.bit") as accelerator:
        print(accelerator.predict(picture))     # uint8 [H, W, 3], RGB, any size
"""

from .accelerator import CamAccelerator
from .answer import Prediction
from .errors import BoardError

__all__ = ["BoardError", "CamAccelerator", "Prediction"]
