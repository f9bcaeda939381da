"""Everything that FINN and QONNX need around them: an environment, a time limit, workarounds with reasons.

Measured with finn-plus 1.6.1 and qonnx 1.0.0. `finn.builder` is not used: it redirects stdout, swallows exceptions and
wants a simulator at import, while its transformations can be called directly.
"""

from finn_build.adapter.limits import TimeLimitReached, time_limit
from finn_build.adapter.passes import apply_pass, apply_passes, until_unchanged
from finn_build.adapter.session import finn_session, quiet

__all__ = ["TimeLimitReached", "apply_pass", "apply_passes", "finn_session", "quiet", "time_limit", "until_unchanged"]
