"""Markdown pages that commands write their tables into."""

from pathlib import Path

from finn_build.cache.store import write_atomically
from finn_build.errors import UserError


def put_into(page: Path, kind: str, name: str, text: str) -> None:
    """Writes a text into a Markdown file, in place of the one of that kind and name or at the file's end.

    Args:
        page: the file.
        kind: of text, as "ablation"; it and `name` stand in comments around the text.
        name: of the config.
        text: Markdown that ends with a line break.

    Raises:
        UserError: the file cannot be read, or the end of the text that it is to replace is not marked.
    """
    begin, end = f"<!-- {kind} {name} -->\n", f"<!-- end of {kind} -->\n"
    try:
        whole = page.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "bytes that are no UTF-8"
        raise UserError(str(page), "a Markdown file", str(reason), "correct --into") from None
    head, found, rest = whole.partition(begin)
    _, ended, tail = rest.partition(end)
    if found and not ended:
        # All that follows would be taken for the old text.
        raise UserError(str(page), f"{end.strip()} after {begin.strip()}", "none", "put it back, or remove both")
    head = head if found else head.rstrip("\n") + "\n\n"
    write_atomically(page, head + begin + text + end + tail)


def chance(share: float, images: int) -> float:
    """Two standard errors of the difference of two accuracies near `share`, each on so many images; a fraction."""
    return 2 * float((2 * share * (1 - share) / images) ** 0.5)
