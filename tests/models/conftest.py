import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from model_helpers import small_network

from models.network import QuantResNet


@pytest.fixture
def network() -> QuantResNet:
    return small_network()


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)
