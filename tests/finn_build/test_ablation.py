"""The ablation table: recipes of one budget, and a table that takes its own place again."""

from pathlib import Path

import pytest

from finn_build.ablation import BASE, INGREDIENTS, Row, put_into, recipe_of, table_of
from finn_build.config import load_config
from finn_build.errors import UserError


def test_every_ingredient_has_the_same_budget_and_changes_one_thing() -> None:
    base = load_config("resnet8_6w6a").train
    recipes = {name: recipe_of(base, changes, 6, 100) for name, changes in INGREDIENTS.items()}
    assert {recipe.epochs + recipe.float_epochs for recipe in recipes.values()} == {6}
    plain = recipes[BASE].model_dump()
    assert (plain["float_epochs"], plain["epochs"], plain["augment"]) == (4, 2, ["crop", "flip"])
    # Nothing stands still in so short a phase: its learning rate is high until the end.
    assert plain["freeze_epochs"] == 0
    for name, recipe in recipes.items():
        changed = {key for key, value in recipe.model_dump().items() if value != plain[key]}
        if "from the first step" in name:
            assert changed == {"float_epochs", "epochs", "learning_rate"}
        else:
            assert len(changed) == (name != BASE), name


def test_the_table_says_what_may_be_chance(tmp_path: Path) -> None:
    table = table_of([Row(BASE, 0.55, 0.5, 1.0), Row("worse", None, 0.475, 1.0)], "title", 800)
    assert "| 50.0 % |  |" in table
    assert "| worse | – | 47.5 % | −2.5 |" in table
    # 2 · sqrt(2 · 0.5 · 0.5 / 800) = 0.05
    assert "below 5.0 points" in table
    page = tmp_path / "results.md"
    page.write_text("# Results\n\nfirst\n")
    put_into(page, "a", "old\n")
    put_into(page, "b", "other\n")
    put_into(page, "a", "new\n")
    marks = "<!-- ablation {} -->\n{}\n<!-- end of ablation -->\n"
    assert page.read_text() == f"# Results\n\nfirst\n\n{marks.format('a', 'new')}\n{marks.format('b', 'other')}"
    with pytest.raises(UserError, match="--into"):
        put_into(tmp_path / "absent.md", "a", "x")
