"""Networks without a hardware form: those that pool a maximum, which the CAM block's averages cannot be."""

import torch

from cam_postproc.spec import CamSpec
from finn_build.config import Config
from models.evaluate import to_input
from models.network import QuantResNet


def is_software_only(config: Config) -> bool:
    """Whether a network trains and localises here, and is never exported."""
    return config.model.source == "checkpoint" and config.model.pooling == "max"


def last_stage(config: Config) -> str:
    """How far a build has to go before a network can localise."""
    return "model" if is_software_only(config) else "streamline"


def heatmap_spec(config: Config, network: QuantResNet) -> CamSpec:
    """The sizes and the resizing of a network's heatmap, from the network itself.

    Args:
        config: of the network.
        network: whose tap is mapped.
    """
    size, model = config.input.size, config.model
    with torch.inference_mode():
        _, tap = network.eval()(to_input(torch.zeros(1, size, size, 3, dtype=torch.uint8).numpy()))
    _, channels, height, width = tap.shape
    return CamSpec(
        map_height=height,
        map_width=width,
        channels=channels,
        classes=config.data.classes,
        tap_bits=model.act_bit_width,
        weight_bits=model.last_bit_width,
        out_height=config.cam_output,
        out_width=config.cam_output,
        sampling=config.cam.sampling,
    )
