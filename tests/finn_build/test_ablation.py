"""The ablation table: recipes of one budget, and a table that takes its own place again."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from finn_build.ablation import BASE, INGREDIENTS, Row, ablate, recipe_of, table_of
from finn_build.cli.app import run
from finn_build.config import load_config
from finn_build.errors import UserError
from finn_build.pages import put_into

CONFIG = """
[model]
groups = { blocks = [1], channels = [8], strides = [2] }
checkpoint = "base.safetensors"

[input]
size = 8

[data]
dataset = "folder"
path = "pictures"
classes = 2

[train]
float_epochs = 1
epochs = 1
batch_size = 8
"""


def test_every_ingredient_has_the_same_budget_and_changes_one_thing() -> None:
    base = load_config("resnet8_6w6a").train
    recipes = {name: recipe_of(base, changes, 12, 100) for name, changes in INGREDIENTS.items()}
    assert {recipe.epochs + recipe.float_epochs for recipe in recipes.values()} == {12}
    plain = recipes[BASE].model_dump()
    assert (plain["float_epochs"], plain["epochs"], plain["augment"]) == (8, 4, ["crop", "flip"])
    assert plain["freeze_epochs"] == 0
    assert {recipe.freeze_epochs for recipe in recipes.values()} == {0, 1}
    for name, recipe in recipes.items():
        changed = {key for key, value in recipe.model_dump().items() if value != plain[key]}
        if "from the first step" in name:
            assert changed == {"float_epochs", "epochs", "learning_rate"}
        else:
            assert len(changed) == (name != BASE), name


def test_a_row_is_kept_by_its_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    for name, level in (("dark", 0), ("light", 120)):
        folder = tmp_path / "pictures" / "train" / name
        folder.mkdir(parents=True)
        for i in range(20):
            Image.fromarray(rng.integers(level, level + 130, (8, 8, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    (tmp_path / "base.toml").write_text(CONFIG)
    config = load_config(str(tmp_path / "base.toml"))
    monkeypatch.setattr("finn_build.ablation.INGREDIENTS", {BASE: {}, "and mixup": {"mixup": 0.2}})

    def rows() -> tuple[list[Row], int]:
        found = ablate(config, None, tmp_path / "kept", 3, 30, 1, lambda row: None)
        return found, len(list((tmp_path / "kept").glob("*/row.json")))

    first, count = rows()
    assert count == 2
    assert rows() == (first, 2), "what was found is read"
    # Another recipe under the same name, in the same place of the list.
    monkeypatch.setattr("finn_build.ablation.INGREDIENTS", {BASE: {}, "and mixup": {"mixup": 0.4}})
    second, count = rows()
    assert count == 3
    assert second[0] == first[0]
    # The same recipe under another name.
    monkeypatch.setattr("finn_build.ablation.INGREDIENTS", {"plain": {}, "and a little mixup": {"mixup": 0.2}})
    third, count = rows()
    assert count == 3
    assert third[1] == replace(first[1], name="and a little mixup")
    page = tmp_path / "results.md"
    page.write_text("# Results\n")
    given = ["ablate", str(tmp_path / "base.toml"), "--epochs", "9", "--images", "30", "--threads", "1"]
    assert run([*given, "--out", str(tmp_path / "build"), "--into", str(page)]) == 0
    assert "`base`, 9 epochs on 24 images of folder each:" in page.read_text()
    assert "| and a little mixup |" in page.read_text()
    assert run([*given, "--into", str(tmp_path / "absent.md")]) == 2


def test_the_table_says_what_may_be_chance(tmp_path: Path) -> None:
    table = table_of([Row(BASE, 0.55, 0.5, 1.0), Row("worse", None, 0.475, 1.0)], "title", 800)
    assert "| 50.0 % |  |" in table
    assert "| worse | – | 47.5 % | −2.5 |" in table
    # 2 · sqrt(2 · 0.5 · 0.5 / 800) = 0.05
    assert "below 5.0 points" in table
    page = tmp_path / "results.md"
    page.write_text("# Results\n\nfirst\n")
    put_into(page, "ablation", "a", "old\n")
    put_into(page, "ablation", "b", "other\n")
    put_into(page, "ablation", "a", "new\n")
    marks = "<!-- ablation {} -->\n{}\n<!-- end of ablation -->\n"
    assert page.read_text() == f"# Results\n\nfirst\n\n{marks.format('a', 'new')}\n{marks.format('b', 'other')}"
    with pytest.raises(UserError, match="--into"):
        put_into(tmp_path / "absent.md", "ablation", "a", "x")
    # By hand, without the mark at its end: what follows is not lost.
    page.write_text("<!-- ablation a -->\nold\n\n# What is dear\n")
    with pytest.raises(UserError, match="expected <!-- end of ablation -->"):
        put_into(page, "ablation", "a", "new\n")
    assert page.read_text().endswith("dear\n")
    page.write_bytes(b"\xff")
    with pytest.raises(UserError, match="no UTF-8"):
        put_into(page, "ablation", "a", "new\n")
