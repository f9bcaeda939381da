"""`finn-cam`: its commands, and how a run ends."""

import errno
import json
import os
import sys
from collections.abc import Sequence

import typer
from typer.exceptions import Abort, TyperException

from finn_build.cli import (
    ablate,
    bench,
    build,
    data,
    deploy,
    doctor,
    emulate,
    evaluate,
    fcam,
    fold,
    init,
    localize,
    report,
    score,
    simulate,
    sweep,
    synth,
    train,
)
from finn_build.cli.console import open_standard_streams, terminal
from finn_build.environment import keep_out_of_home
from finn_build.errors import READABLE, CheckFailed, ToolFailed, UserError
from finn_build.interruption import remembered, requested

INTERRUPTED = "interrupted; what was finished is kept, and the same command carries on from there"
TYPER_INTERRUPTED = 130
"""What Typer makes of a KeyboardInterrupt by itself."""

READER_GONE = 141
"""What a shell says of a program that a closed pipe ended (128 + SIGPIPE)."""

app = typer.Typer(
    name="finn-cam",
    help="Quantised ResNets on the PYNQ-Z2 that say what is in an image, and where.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("init")(init.init)
app.command("build")(build.build)
app.command("train")(train.train)
app.command("sweep")(sweep.sweep)
app.command("ablate")(ablate.ablate)
app.command("fcam")(fcam.fcam)
app.command("evaluate")(evaluate.evaluate)
app.command("localize")(localize.localize)
app.command("score")(score.score)
app.command("fold")(fold.fold)
app.command("simulate")(simulate.simulate)
app.command("synth")(synth.synth)
app.command("emulate")(emulate.emulate)
app.command("deploy")(deploy.deploy)
app.command("data")(data.data)
app.command("bench")(bench.bench)
app.command("report")(report.report)
app.command("doctor")(doctor.doctor)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs `finn-cam` and exits: 0 well, 1 a check failed, 2 a user's mistake or an interruption, 3 a tool failed."""
    sys.exit(run(list(sys.argv[1:] if arguments is None else arguments)))


def run(arguments: list[str]) -> int:
    """Runs one command and returns its exit code; every expected end is one line on standard error.

    With `--json` an end that is no success is one JSON object on standard output as well.
    """
    open_standard_streams()
    keep_out_of_home()
    command = typer.main.get_command(app)
    try:
        with terminal(), remembered():
            code = int(command.main(arguments or ["--help"], prog_name="finn-cam", standalone_mode=False) or 0)
            sys.stdout.flush()
        if code != TYPER_INTERRUPTED:
            return code
        message, code = INTERRUPTED, 2
    except (Abort, KeyboardInterrupt):
        message, code = INTERRUPTED, 2
    except TyperException as error:
        context = getattr(error, "ctx", None)
        where = context.command_path if context is not None else "finn-cam"
        message, code = f"{error.format_message().rstrip('.')}; see {where} --help", 2
    except READABLE as error:
        message, code = str(error), 2
    except (CheckFailed, ToolFailed) as error:
        message, code = str(error), error.exit_code
    except (BrokenPipeError, SystemExit) as error:
        if isinstance(error, SystemExit) and not isinstance(error.__context__, BrokenPipeError):
            raise
        # Whoever read the output has gone: nothing to say, and nowhere to say it. Typer and rich make an exit with 1,
        # which says a failed check, of it.
        _forget_output()
        return READER_GONE
    except OSError as error:
        _forget_output()
        message, code = _of_system(error), 2
    except Exception:
        if not requested():
            raise
        message, code = INTERRUPTED, 2
    if requested():
        # Whatever came of it, it is not what ended the command.
        message, code = INTERRUPTED, 2
    try:
        print(f"finn-cam: {' '.join(message.split())}", file=sys.stderr, flush=True)
    except OSError:
        _forget_output()
    if "--json" in arguments:
        try:
            print(json.dumps({"error": message, "exit_code": code}), flush=True)
        except OSError:
            # What standard output cannot take is told on standard error alone.
            _forget_output()
    return code


def _forget_output() -> None:
    """Sends what is still buffered, or still to come, to nowhere: the interpreter flushes once more as it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor, stream in ((1, sys.__stdout__), (2, sys.__stderr__)):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _of_system(error: OSError) -> str:
    """A full disk, a missing permission and their like are the machine's user's to mend, so they get one line."""
    place = str(error.filename) if error.filename else "file system"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        remedy = "free some, or use another: --out for results, TMPDIR for temporary files"
        return str(UserError(place, "free disk space", "a full disk", remedy))
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return str(UserError(place, "a place to read and write", str(error.strerror), "correct its permissions"))
    if error.errno == errno.EISDIR:
        return str(UserError(str(error.filename2 or place), "a file, or nothing", "a folder", "delete it"))
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        remedy = "delete it, or give another folder with --out"
        return str(UserError(place, "a folder to write into", "a file in its place", remedy))
    if error.errno is None and not requested():
        raise error
    return str(UserError(place, "a working file", str(error.strerror), "correct the path"))
