"""Class names from two places: the same names in another order mean that answers get the wrong one."""

from collections.abc import Sequence

from finn_build.errors import UserError


def require_same_order(place: str, labels: Sequence[str] | None, known: Sequence[str]) -> None:
    """Refuses labels that are those of the checkpoint or data set in another order; other names are the user's choice.

    Args:
        place: of the labels that `known` are, for the message.
        labels: the config's; None where it has none.
        known: those that the network was, or is to be, trained with.

    Raises:
        UserError: names the first class that differs.
    """
    if labels is None or sorted(labels) != sorted(known):
        return
    for index, (given, wanted) in enumerate(zip(labels, known, strict=True)):
        if given != wanted:
            remedy = f"put them in this order: {', '.join(known)}"
            raise UserError(f"[data] labels, class {index}", f"{wanted!r} as {place} has it", repr(given), remedy)
