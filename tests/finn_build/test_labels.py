"""Labels in another order than the network's are refused; other names are the user's choice."""

import pytest

from finn_build.errors import UserError
from finn_build.labels import require_same_order


@pytest.mark.parametrize("labels", [None, ["cat", "dog"], ["Katze", "Hund"], ["cat", "hound"], ["cat", "dog", "bird"]])
def test_the_same_or_other_names_pass(labels: list[str] | None) -> None:
    require_same_order("the checkpoint", labels, ["cat", "dog"])


def test_another_order_is_refused() -> None:
    with pytest.raises(UserError, match=r"class 1: expected 'dog' as the card has it, got 'bird'.*cat, dog, bird"):
        require_same_order("the card", ["cat", "bird", "dog"], ["cat", "dog", "bird"])


def test_a_renamed_class_that_moved_the_others_is_refused() -> None:
    # Folders bar and disc were trained; then bar became pole, and disc is the first.
    with pytest.raises(UserError, match=r"class 0: expected 'disc' as the folder has it, got 'bar'.*disc, pole"):
        require_same_order("the folder", ["bar", "disc"], ["disc", "pole"])
