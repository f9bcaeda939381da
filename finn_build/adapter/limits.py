"""A time limit around third-party transformations, some of which can loop for ever on a graph they do not expect."""

import contextlib
import ctypes
import threading
from collections.abc import Iterator


class TimeLimitReached(Exception):
    """A transformation ran past its limit."""


@contextlib.contextmanager
def time_limit(seconds: float, what: str) -> Iterator[None]:
    """Stops the block after `seconds`, in whichever thread it runs.

    A watchdog thread raises the exception in this one. That needs no signal, which works in the main thread alone and
    which a test runner wants for itself; it reaches Python loops, which is what loops here.

    Raises:
        TimeLimitReached: the block took longer.
    """
    target = threading.get_ident()
    guard = threading.Lock()
    state = {"done": False, "fired": False}

    def fire() -> None:
        with guard:
            if not state["done"]:
                state["fired"] = True
                _raise_in(target, _Interrupted)

    watchdog = threading.Timer(seconds, fire)
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    except _Interrupted:
        raise TimeLimitReached(f"{what} took longer than {seconds:g} s") from None
    finally:
        with guard:
            state["done"] = True
            if state["fired"]:
                # Fired after the block's last instruction: what has not been delivered yet is taken back.
                _raise_in(target, None)
        watchdog.cancel()


class _Interrupted(BaseException):
    """What the watchdog raises: no `except Exception` of a third party stops it."""


def _raise_in(thread: int, exception: type[BaseException] | None) -> None:
    value = None if exception is None else ctypes.py_object(exception)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), value)
