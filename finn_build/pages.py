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
        UserError: the file cannot be read.
    """
    begin, end = f"<!-- {kind} {name} -->\n", f"<!-- end of {kind} -->\n"
    try:
        whole = page.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(str(page), "a Markdown file", str(error.strerror), "correct --into") from None
    head, found, rest = whole.partition(begin)
    tail = rest.partition(end)[2] if found else ""
    head = head if found else head.rstrip("\n") + "\n\n"
    write_atomically(page, head + begin + text + end + tail)


def chance(share: float, images: int) -> float:
    """Two standard errors of the difference of two accuracies near `share`, each on so many images; a fraction."""
    return 2 * float((2 * share * (1 - share) / images) ** 0.5)
