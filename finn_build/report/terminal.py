"""A report on a terminal: at most 40 lines, colour only where there is a terminal, plain ASCII where it has no more."""

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from finn_build.report import headline, view
from finn_build.report.schema import Report
from finn_build.report.verdict import failures, told, verdict
from finn_build.report.words import duration, percent, size_in_bytes

MOST_FAILURES = 6
MOST_LAYERS = 5
MOST_EXAMPLES = 4
BAR = 24
LABEL = 11
ASCII = str.maketrans("█░│✓✗·×≥≤–−…", "#.|+x-x><--~")
"""For terminals without Unicode: as many letters for as many, since styles are tied to positions."""

CONTROLS = dict.fromkeys((*range(32), *range(127, 160)), "?")
"""A label or file name could hold escape sequences, which a terminal would obey."""


def render(report: Report) -> "Summary":
    """What `console.print` shows of a report."""
    return Summary(report)


class Summary:
    """The overview, drawn for the console that it is printed on."""

    def __init__(self, report: Report) -> None:
        self.report = report

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """One line after the other, each cut at the terminal's edge; what goes to a file is not cut."""
        for line in self._lines():
            line.plain = line.plain.translate(CONTROLS)
            if options.ascii_only:
                line.plain = line.plain.translate(ASCII).encode("ascii", "replace").decode()
            if console.is_terminal:
                line.truncate(options.max_width, overflow="ellipsis")
            line.no_wrap = True
            yield line

    def _lines(self) -> Iterator[Text]:
        yield from self._verdict()
        yield Text()
        yield from self._figures()
        yield from self._resources()
        yield from self._verified()
        yield from self._slowest()
        yield from self._folding()
        yield from self._examples()
        yield from self._rest()

    def _verdict(self) -> Iterator[Text]:
        report = self.report
        about = headline.about(report)
        yield Text.assemble((report.config, "bold"), (f"  {about}" if about else "", "dim"))
        found = failures(report)
        whole = not found and report.until is None and bool(report.checks)
        style = "bold red" if found else "bold green" if whole else "bold yellow"
        yield Text(f"{'✗' if found else '✓' if whole else '·'} {verdict(report)}", style)
        for line in found[:MOST_FAILURES]:
            yield Text(f"  {line}", "red")
        if len(found) > MOST_FAILURES:
            yield Text(f"  and {len(found) - MOST_FAILURES} more", "red")

    def _figures(self) -> Iterator[Text]:
        for label, tile in zip(("speed", "accuracy", "exactness", "heatmap"), headline.tiles(self.report), strict=True):
            style = {"bad": "bold red", "words": "dim"}.get(tile.kind, "bold")
            yield _line(label, (f"{tile.figure} {tile.unit}".rstrip().ljust(BAR), style), (f"  {tile.told}", "dim"))

    def _resources(self) -> Iterator[Text]:
        hardware = self.report.hardware
        gauges = headline.gauges(hardware) if hardware else None
        if gauges is None:
            return
        yield Text()
        yield _line("resources", (gauges.title, "green" if gauges.fits else "bold red"))
        for gauge in gauges.rows:
            bar = _bar(gauge.share / 100, None if gauge.limit is None else gauge.limit / 100)
            style = "red" if gauge.over else ""
            yield _line(f"  {gauge.name}", (bar, style or "cyan"), (f"  {gauge.told}", style))

    def _verified(self) -> Iterator[Text]:
        stages = self.report.stages
        if stages:
            ran = [stage for stage in stages if not stage.reused]
            kept = f", {len(stages) - len(ran)} reused" if len(ran) < len(stages) else ""
            slowest = sorted(ran, key=lambda stage: -stage.seconds)[:3]
            most = ", ".join(f"{stage.name} {duration(stage.seconds)}" for stage in slowest)
            took = f"{len(ran)} ran in {duration(sum(stage.seconds for stage in ran))}{kept}"
            yield Text()
            yield _line("stages", (took, ""), (f"  {most}" if most else "", "dim"))
        groups = view.groups(self.report)
        if groups:
            yield _line("verified", *_joined([(group.stage, "" if group.passed else "bold red") for group in groups]))

    def _slowest(self) -> Iterator[Text]:
        hardware = self.report.hardware
        layers = [layer for layer in hardware.layers if layer.cycles] if hardware else []
        if hardware is None or not layers:
            return
        yield Text()
        yield _line("slowest", (f"of {len(layers)} layers, cycles an image", "dim"))
        ranked = sorted(layers, key=lambda layer: (layer.name != hardware.bottleneck, -(layer.cycles or 0)))
        for layer in ranked[:MOST_LAYERS]:
            bar = _bar((layer.cycles or 0) / hardware.cycles_per_image, None)
            folding = f"PE {told(layer.pe)}, SIMD {told(layer.simd)}"
            style = "yellow" if layer.name == hardware.bottleneck else "cyan"
            yield _line("", (bar, style), f"  {layer.cycles:>11,}  {layer.name}", (f"  {folding}", "dim"))

    def _folding(self) -> Iterator[Text]:
        folded = self.report.folding
        if folded is None:
            return
        proof = "proven optimal" if folded.optimal else f"at most {folded.gap:.1%} fewer cycles are possible"
        more = [f"SetFolding {folded.heuristic.fps:,.0f} FPS"] if folded.heuristic else []
        if folded.next_step is not None and folded.next_step.limited_by:
            names = " or ".join(folded.next_step.limited_by)
            more.append(f"{folded.next_step.fps:,.0f} FPS wants more {names}")
        yield _line("folding", proof, ("".join(f"; {told}" for told in more), "dim"))

    def _examples(self) -> Iterator[Text]:
        shown = self.report.examples[:MOST_EXAMPLES]
        if shown:
            yield Text()
        for index, one in enumerate(shown):
            box = "no box" if one.box is None else "box {}, {} to {}, {}".format(*one.box)
            label = " ".join(one.label.split())
            yield _line(
                "examples" if index == 0 else "", f"{one.image}: ", (label, "bold"), f" {percent(one.score)}, {box}"
            )

    def _rest(self) -> Iterator[Text]:
        package = self.report.package
        yield Text()
        found = self.report.implementation
        if found is not None:
            used = ", ".join(f"{name} {told(amount)}" for name, amount in found.used.items() if amount is not None)
            clock = f"{found.state}, slack {found.setup_ns:.3f} ns at {told(found.clock_mhz)} MHz"
            yield _line("Vivado", clock, (f"  {used}", "dim"))
        if package is not None:
            state = "with bitfile" if package.bitfile else "without bitfile"
            yield _line("package", f"{package.file}, {size_in_bytes(package.bytes)}, {state}, id {package.build_id}")
        if self.report.not_shown:
            heads = (line.split(":")[0].rstrip(".") for line in self.report.not_shown)
            yield _line("not shown", ("; ".join(head[:1].lower() + head[1:] for head in heads), "dim"))


def _line(label: str, *parts: str | tuple[str, str]) -> Text:
    return Text.assemble("  ", (label.ljust(LABEL), "dim"), *parts)


def _joined(words: list[tuple[str, str]]) -> list[tuple[str, str]]:
    joined: list[tuple[str, str]] = []
    for word in words:
        joined += [word] if not joined else [(", ", "dim"), word]
    return joined


def _bar(share: float, limit: float | None) -> str:
    """A bar of `BAR` cells, the limit marked."""
    filled = min(BAR, round(share * BAR))
    cells = ["█"] * filled + ["░"] * (BAR - filled)
    if limit is not None and limit < 1:
        cells[min(BAR - 1, round(limit * BAR))] = "│"
    return "".join(cells)
