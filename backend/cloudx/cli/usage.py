"""Run the command line so that wrong usage ends like every other error."""

from __future__ import annotations

import typer

from cloudx.processes.exits import WRONG_USAGE, exit_with

# click's base of usage errors, which typer carries inside and does not export.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]


def run(app: typer.Typer) -> int:
    """Run a command and return its exit code; wrong usage ends the process with a sentence that names its help."""
    try:
        return int(app(prog_name="cloudx", standalone_mode=False) or 0)
    except _UsageError as error:
        if not (sentence := _sentence(error)):
            error.show()  # type: ignore[attr-defined]  # a bare `cloudx`: the help itself
            return WRONG_USAGE
        exit_with(f"{sentence}. `{_command_of(error)} --help` shows how to use it.", "usage", WRONG_USAGE)
    except typer.Abort:
        exit_with("Interrupted.", "interrupted")


def _sentence(error: Exception) -> str:
    if type(error).__name__ == "NoArgsIsHelpError":
        return ""
    message: str = error.format_message()  # type: ignore[attr-defined]
    return " ".join(message.replace("Value error, ", "").split()).rstrip(".")


def _command_of(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    return context.command_path if context else "cloudx"
