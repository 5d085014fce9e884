"""The command ``consentclf``. Each subcommand is a module of this package, imported only when it is called.

What a command raises becomes one line on stderr and an exit code here, so that commands just raise:
0 done, 2 bad input or bad options, 130 Ctrl-C, 143 SIGTERM, 141 the reader of our output closed the pipe.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import importlib.util
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

import click

from .. import __version__
from ..errors import DataError, ModelError
from .common import MissingPackageError, complain

#: Command -> where it is. A command whose module is absent is not offered.
COMMANDS = {
    "predict": "consentclf.cli.predict:predict",
    "filter": "consentclf.cli.filter:filter_",
    "train": "consentclf.cli.train:train",
    "evaluate": "consentclf.cli.evaluate:evaluate",
    "explain": "consentclf.cli.explain:explain",
    "report": "consentclf.cli.report:report",
    "label": "consentclf.cli.label:label",
    "data": "consentclf.cli.data:data",
    "gate": "consentclf.cli.gate:gate",
    "info": "consentclf.cli.info:info",
}


class Terminated(BaseException):
    """SIGTERM came. Not an Exception: it must run every ``finally`` and be caught by nothing else."""


class LazyGroup(click.Group):
    """A group that imports a command when it is called, and turns errors into exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Commands in the order of COMMANDS, as far as their modules are installed."""
        return [name for name, place in COMMANDS.items() if importlib.util.find_spec(place.partition(":")[0])]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        if importlib.util.find_spec(module) is None:
            return None
        try:
            command = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            if not error.name or error.name.partition(".")[0] == __package__.partition(".")[0]:
                raise  # ours: a bug
            return _unavailable(cmd_name, error.name.partition(".")[0])
        assert isinstance(command, click.Command)  # noqa: S101 - a slip of ours in COMMANDS, not of the user
        return command

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command line and exit."""
        if not standalone_mode or "_CONSENTCLF_COMPLETE" in os.environ:
            return super().main(args, prog_name, complete_var, standalone_mode, **extra)
        sys.exit(self._run(list(sys.argv[1:] if args is None else args), extra))

    def _run(self, args: list[str], extra: dict[str, Any]) -> int:
        try:
            with _sigterm_raises():
                try:
                    with self.make_context("consentclf", args, **extra) as context:
                        self.invoke(context)
                    code = 0
                except click.exceptions.Exit as stop:
                    code = stop.exit_code
                sys.stdout.flush()
                return code
        except (KeyboardInterrupt, click.Abort):
            complain("interrupted")
            return 130
        except Terminated:
            complain("terminated")
            return 143
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
        except click.UsageError as error:
            where = error.ctx.command_path if error.ctx else "consentclf"
            complain(f"{error.format_message()} (see {where} --help)")
        except click.ClickException as error:
            complain(error.format_message())
        except (DataError, ModelError, MissingPackageError) as error:
            complain(str(error))
        except MemoryError:
            complain("out of memory; give it less at a time, or a larger machine")
        except OSError as error:
            if error.errno == errno.EPIPE:
                _forget_output()
                return 141
            _forget_output()
            complain(_describe(error))
        return 2


#: What pip calls a module that it does not call by its name.
_PIP_NAMES = {"sklearn": "scikit-learn", "justext": "jusText", "scipy": "scikit-learn"}


def _unavailable(name: str, module: str) -> click.Command:
    """A command that needs a package which is not installed: it is listed, and says what to install."""
    package = _PIP_NAMES.get(module, module)

    def refuse() -> None:
        raise MissingPackageError(f"{name} needs {package}: pip install {package}")

    return click.Command(
        name,
        callback=refuse,
        params=[click.Argument(["anything"], nargs=-1, expose_value=False)],
        context_settings={"ignore_unknown_options": True},
        short_help=f"(needs {package}, which is not installed)",
        add_help_option=False,
    )


@contextlib.contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Let SIGTERM unwind the stack, so that files half written are removed and workers end."""

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: the clean-up is under way
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _forget_output() -> None:
    """Drop what is buffered for an output that takes no more; Python would try again at exit."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def _describe(error: OSError) -> str:
    """One line on a file that could not be written, or an output, with the remedy."""
    name = f"{os.fsdecode(error.filename)}: " if error.filename else "writing output: "
    cause = error.strerror or str(error)
    remedy = {
        errno.ENOSPC: "free some space and run it again",
        errno.EDQUOT: "free some space and run it again",
        errno.EACCES: "choose a place you may write to",
        errno.EPERM: "choose a place you may write to",
        errno.EROFS: "choose a place you may write to",
        errno.ENOENT: "check the path",
        errno.ENOTDIR: "check the path",
        errno.EISDIR: "name a file",
    }.get(error.errno or 0, "check the file and the disk")
    return f"{name}{cause}; {remedy}"


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="consentclf", message="%(prog)s %(version)s")
def main() -> None:
    """Label the paragraphs of crawled pages: article, consent notice, banner or navigation."""
