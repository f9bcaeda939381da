"""Figures in words: percent, durations, large counts, bytes."""


def percent(fraction: float | None) -> str:
    """A fraction in percent, two decimals."""
    return "–" if fraction is None else f"{100 * fraction:.2f} %"


def duration(seconds: float) -> str:
    """Seconds in the unit that reads best."""
    if seconds < 0.0995:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 99.5:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def compact(count: int) -> str:
    """A large count in three digits: 12.3 M."""
    for limit, divisor, letter in ((1e9, 1e9, " G"), (1e6, 1e6, " M"), (1e4, 1e3, " k")):
        if count >= limit:
            return f"{count / divisor:.3g}{letter}"
    return f"{count:,}"


def size_in_bytes(count: int) -> str:
    """Bytes as kB or MB."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB" if count >= 1e4 else f"{count:,} bytes"
