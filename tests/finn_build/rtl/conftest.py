import sys
from pathlib import Path

import pytest

from finn_build.environment import default_build_folder

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def programs() -> Path:
    """Compiled simulators, kept between test runs: a digest of their content names them."""
    return default_build_folder() / ".cache" / "simulators"
