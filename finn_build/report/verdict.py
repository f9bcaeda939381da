"""A report in one line: what passed, what failed, and how much was compared."""

from finn_build.report.schema import Check, Relation, Report

SIGNS: dict[Relation, str] = {"<=": "≤", ">=": "≥", "==": "=", "<": "<", ">": ">"}


def failures(report: Report) -> list[str]:
    """What failed, one line each: why the build ended, checks, then comparisons."""
    found = [report.stopped] if report.stopped else []
    found += [f"{stage}: {told_check(check)}" for stage, check in report.checks if not check.passed]
    for row in report.verification:
        if not row.passed:
            found.append(f"{row.stage}: output {row.output} differs in {row.mismatches:,} of {row.values:,} values")
    for layer in report.layers:
        if layer.mismatches:
            found.append(f"integer layer {layer.name} differs in {layer.mismatches:,} values")
    found += [f"make verify: {bar.name} is {told(bar.measured)}" for bar in report.verify if not bar.passed]
    return found


def verdict(report: Report) -> str:
    """One sentence: every check passed, or how many did not, or how far a build went that ended early."""
    count = len(report.checks) + len(report.verification)
    failed = len(failures(report))
    if report.stopped:
        more = f", and {failed - 1:,} of {count:,} checks and comparisons failed" if failed > 1 else ""
        return f"No bitfile: its build stopped with an error{more or '; every check before it passed'}"
    if failed:
        return f"{failed:,} of {count:,} checks and comparisons failed" if count else "The build failed"
    if not count:
        return "Nothing was checked"
    so_far = f" up to stage {report.until}, where the build was told to stop" if report.until else ""
    return f"Every check passed{so_far}: {len(report.checks):,} checks, {len(report.verification):,} comparisons"


def exact_values(report: Report) -> int:
    """Values that were compared exactly after QONNX and found equal."""
    return sum(row.values - row.mismatches for row in report.verification if row.stage != "qonnx")


def told_check(check: Check) -> str:
    """A check in words: its figure, its limit, and where it failed."""
    unit = f" {check.unit}" if check.unit else ""
    limit = "" if check.limit is None else f", limit {SIGNS[check.relation]} {told(check.limit)}{unit}"
    detail = f" ({check.detail})" if check.detail else ""
    return f"{check.name} is {told(check.measured)}{unit}{limit}{detail}"


def told(value: object) -> str:
    """A figure for reading: thousands apart, four significant digits of what is no integer, a dash for none."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if value.is_integer() and abs(value) < 1e15:
            return f"{int(value):,}"
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
    return str(value)
