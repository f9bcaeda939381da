"""`report.html`: one page without scripts or network, made from a `Report` and the pictures beside it."""

import base64
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from finn_build.cache.store import write_atomically
from finn_build.errors import UserError
from finn_build.report import plots, resource_plot, view
from finn_build.report.folding_view import folding
from finn_build.report.hardware_runs import hardware_runs
from finn_build.report.localisation import localisation
from finn_build.report.schema import Example, Report

MOST_PICTURE_BYTES = 4_000_000


def write_html(report: Report, path: Path) -> None:
    """Writes the page; the pictures of the examples are looked up in the folder that it is written to."""
    write_atomically(path, render_html(report, path.parent))


def render_html(report: Report, folder: Path) -> str:
    """The page as text.

    Args:
        report: what to show. What it lacks (accuracy, hardware, ...) is left out or said to be missing.
        folder: where the examples' pictures lie, in the report's relative paths.

    Raises:
        UserError: a picture that the report names is not there or is no PNG.
    """
    figures = {
        "cycles": plots.cycles_plot(report.hardware) if report.hardware else None,
        "resources": resource_plot.resources_plot(report.hardware) if report.hardware else None,
        "fidelity": plots.fidelity_plot(report.layers),
    }
    runs = hardware_runs(report)
    figures["timeline"] = runs["simulation"]["plot"] if runs["simulation"] else None
    examples = [view.example(one, _pictures(one, folder)) for one in report.examples]
    sheets = report.localisation.sheets if report.localisation else ()
    pages = {sheet.file: _as_data(folder / sheet.file) for sheet in sheets}
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            css=(Path(__file__).parent / "style.css").read_text(encoding="utf-8"),
            plots=figures,
            examples=examples,
            localisation=localisation(report.localisation, pages),
            runs=runs,
            folding=folding(report.folding),
            **view.page(report),
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(view.FILTERS)
    return environment


def _pictures(example: Example, folder: Path) -> list[tuple[str, str]]:
    """Sources and alternative texts of an example's pictures."""
    found = []
    for name, text in ((example.picture, "the picture"), (example.overlay, "the picture under its heatmap")):
        if name is not None:
            found.append((_as_data(folder / name), f"{example.image}: {text}"))
    return found


def _as_data(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(str(path), "a picture of the report", str(error.strerror), "make the report anew") from None
    if not content.startswith(b"\x89PNG\r\n\x1a\n") or len(content) > MOST_PICTURE_BYTES:
        wanted = f"a PNG file of at most {MOST_PICTURE_BYTES:,} bytes"
        raise UserError(str(path), wanted, f"{len(content):,} other bytes", "make the report anew")
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"
