"""Class names from two places: the same names in another order mean that answers get the wrong one."""

from collections.abc import Sequence

from finn_build.errors import UserError


def require_same_order(place: str, labels: Sequence[str] | None, known: Sequence[str]) -> None:
    """Refuses labels of which one stands at another place in the checkpoint or data set; other names are one's choice.

    A class folder that is renamed may be sorted to another place: every answer would get the wrong name.

    Args:
        place: of the labels that `known` are, for the message.
        labels: the config's; None where it has none.
        known: those that the network was, or is to be, trained with.

    Raises:
        UserError: names the first class that differs.
    """
    if labels is None or len(labels) != len(known):
        return
    for index, (given, wanted) in enumerate(zip(labels, known, strict=True)):
        if given != wanted and (given in known or wanted in labels):
            remedy = f"put them in this order: {', '.join(known)}"
            raise UserError(f"[data] labels, class {index}", f"{wanted!r} as {place} has it", repr(given), remedy)
