"""Runs stages one after the other: reuses what is kept, runs what is not, tells what happens."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from finn_build.cache.key import key_parts
from finn_build.cache.store import Kept, Store
from finn_build.errors import CheckFailed, ToolFailed, UserError
from finn_build.interruption import end_if_requested
from finn_build.stages.result import Progress, StageResult


class Listener(Protocol):
    """Who is told what happens: the console, or nobody in a test."""

    def started(self, stage: str, title: str, reasons: list[str]) -> Progress:
        """A stage begins, for these reasons; returns where it tells its progress."""

    def finished(self, stage: "RunStage") -> None:
        """A stage ended well, or was reused."""

    def failed(self, stage: str, log: Path) -> None:
        """A stage ended with an exception, which is on its way."""


@dataclass(frozen=True)
class RunStage:
    """A stage of this run: its name, the seconds that its result took to make, and what it told."""

    name: str
    title: str
    seconds: float
    reused: bool
    result: StageResult


class UntilReached(Exception):
    """The stage that `--until` names is done."""


@dataclass
class Runner:
    """Runs one config's stages against its store.

    Attributes:
        store: where results lie.
        listener: who is told.
        until: the stage after which the run ends; None for the last.
        force: stages that run even if their results could be used again.
        skip: stages that the user asked to leave out.
        done: the stages so far.
        no_bitfile: why no bitfile was made; empty where one was, or the run ended before.
        stopped: the error that ended the way to the bitfile; the other stages went on.
    """

    store: Store
    listener: Listener
    until: str | None = None
    force: frozenset[str] = frozenset()
    skip: frozenset[str] = frozenset()
    done: list[RunStage] = field(default_factory=list)
    no_bitfile: str = ""
    stopped: UserError | CheckFailed | ToolFailed | None = None

    def reusable(
        self, name: str, function: Callable[..., StageResult], inputs: Mapping[str, Path], settings: Mapping[str, Any]
    ) -> bool:
        """Whether a stage, given the same as `stage`, would use its earlier result."""
        parts = key_parts(function.__module__, inputs, settings)
        return name not in self.force and not self.store.why_not_reused(name, parts)

    def stage(
        self,
        name: str,
        title: str,
        function: Callable[..., StageResult],
        inputs: Mapping[str, Path],
        settings: Mapping[str, Any],
    ) -> Path:
        """Runs a stage, or reuses its result, and returns its folder.

        Args:
            name: of the stage and its folder.
            title: what it does, in a few words.
            function: called with inputs, settings, `out` and `progress`.
            inputs: files and folders that it reads, by argument name.
            settings: its other arguments.

        Raises:
            UntilReached: this was the stage to stop after.
        """
        parts = key_parts(function.__module__, inputs, settings)
        reasons = ["forced"] if name in self.force else self.store.why_not_reused(name, parts)
        kept = None if reasons else self.store.kept(name)
        told = None if kept is None else _result_of(kept)
        reused = told is not None
        if kept is None or told is None:
            reasons = reasons or ["its manifest is damaged"]
            progress = self.listener.started(name, title, reasons)

            def work(out: Path) -> tuple[float, dict[str, Any]]:
                start = time.perf_counter()
                with _output_into(self._log(name)):
                    result = function(**inputs, **settings, out=out, progress=progress)
                end_if_requested()
                return time.perf_counter() - start, result.model_dump(mode="json", by_alias=True)

            try:
                kept = self.store.run(name, parts, work)
            except BaseException:
                self.listener.failed(name, self._log(name))
                raise
            told = StageResult.model_validate(kept.report)
        run = RunStage(name, title, kept.seconds, reused, told)
        self.done.append(run)
        self.listener.finished(run)
        if name == self.until:
            raise UntilReached(name)
        return self.store.place(name)

    def told(self, name: str) -> StageResult:
        """What a stage of this run told."""
        return next(run.result for run in self.done if run.name == name)

    def _log(self, stage: str) -> Path:
        return self.store.folder / "logs" / f"{stage}.log"


def _result_of(kept: Kept) -> StageResult | None:
    try:
        return StageResult.model_validate(kept.report)
    except ValidationError:
        return None


@contextlib.contextmanager
def _output_into(log: Path) -> Iterator[None]:
    """Sends what third-party code prints, to whichever stream and from whichever language, to a log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    try:
        with log.open("w", encoding="utf-8") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            yield
            sys.stdout.flush()
            sys.stderr.flush()
    finally:
        for descriptor, target in zip(kept, (1, 2), strict=True):
            os.dup2(descriptor, target)
            os.close(descriptor)
