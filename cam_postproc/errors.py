"""The one exception of this package for what a user can put right.

It is defined in the module that the board's driver shares, which may import nothing but numpy.
"""

from cam_postproc.hostside import CamError

__all__ = ["CamError"]
