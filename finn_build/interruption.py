"""Ctrl-C, and a polite request to end, are not lost in third-party code.

Python raises KeyboardInterrupt wherever the program happens to be. Inside an import or an `except:` of a library it can
be swallowed: the library then goes on in a broken state, fails somewhere else, or gives a result that nobody should
keep. So the request is remembered as well, and asked for before a result is kept and before a failure is told.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_request = threading.Event()


def requested() -> bool:
    """Whether the running command was asked to end."""
    return _request.is_set()


def end_if_requested() -> None:
    """Ends here if the command was asked to and something swallowed that.

    Raises:
        KeyboardInterrupt: it was.
    """
    if requested():
        raise KeyboardInterrupt


@contextlib.contextmanager
def remembered() -> Iterator[None]:
    """Remembers requests to end while a command runs; outside the main thread signals are not this program's.

    Within another it changes nothing: what was asked of the outer one is not forgotten.
    """
    handlers = {signal.getsignal(number) for number in _SIGNALS}
    if _remember in handlers:
        yield
        return
    _request.clear()
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    # What runs in the background of a script is told to ignore Ctrl-C, and a handler that is not Python's is foreign.
    ours = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    try:
        for number in ours:
            signal.signal(number, _remember)
        yield
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)


def _remember(number: int, frame: FrameType | None) -> None:
    _request.set()
    raise KeyboardInterrupt
