"""The commands that look at a cluster, roll jobs out and back, and drain machines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cloudx.cli.session import JsonOption, ending_in_words
from cloudx.config import load_settings, nomad_variables
from cloudx.domain.errors import InvalidInput
from cloudx.processes.exits import exit_with

from .set_up import cluster as cluster

if TYPE_CHECKING:
    from cloudx.cluster.nomad_ports import JobSource
    from cloudx.cluster.rollout import RolloutOutcome

_JOB = typer.Argument(metavar="JOB", help="A job file, or NAME for jobs/NAME.nomad.hcl.")
_JOB_ID = typer.Argument(metavar="JOB", help="The job's id in Nomad, such as backend.")
_VERSION = typer.Option("--version", help="What to call the new version: the job's variable of that name.")
_VARIABLES = typer.Option("--var", metavar="NAME=VALUE", help="A variable of the job file; may be given several times.")
_TIMEOUT = typer.Option("--timeout", help="Seconds after which to give up watching; Nomad goes on.", min=1)
_TO = typer.Option("--to", help="The version to go back to; by default the last stable version before the newest.")
_NODE = typer.Argument(metavar="NODE", help="A machine: its name, its id or the beginning of it.")
_DEADLINE = typer.Option("--deadline", help="Seconds after which what is still there is stopped.", min=1)
_OFF = typer.Option("--off", help="End the drain, and let the machine take work again.")
ROLLOUT_TIMEOUT_SECONDS = 1200
DRAIN_DEADLINE_SECONDS = 600


@cluster.command()
def status(as_json: JsonOption = False) -> None:
    """Show the cluster's jobs with their versions, its machines, and what fails.

    Example: cloudx cluster status
    """
    with ending_in_words():
        from cloudx.cluster.bootstrap import cluster_status
        from cloudx.terminal import print_json

        from .tables import document, print_cluster

        state = cluster_status(load_settings())()
        print_json(document(state)) if as_json else print_cluster(state)


@cluster.command()
def rollout(
    job: Annotated[str, _JOB],
    version: Annotated[str | None, _VERSION] = None,
    variables: Annotated[list[str] | None, _VARIABLES] = None,
    timeout_seconds: Annotated[int, _TIMEOUT] = ROLLOUT_TIMEOUT_SECONDS,
    as_json: JsonOption = False,
) -> None:
    """Run a job file and watch until its new version serves, or why it does not.

    Variables come from NOMAD_VAR_NAME too. Exit code 0 means that the new version runs and is healthy.

    Example: cloudx cluster rollout backend --version 1.2.0
    """
    with ending_in_words():
        from cloudx.cluster.bootstrap import rollouts

        from .display import display_of

        source = _read_job(job, variables or [], version)
        with display_of(Path(job).name) as show:
            outcome = rollouts(load_settings()).roll_out(source, show, timeout_seconds)
        _end(outcome, as_json)


@cluster.command()
def rollback(
    job_id: Annotated[str, _JOB_ID],
    to: Annotated[int | None, _TO] = None,
    timeout_seconds: Annotated[int, _TIMEOUT] = ROLLOUT_TIMEOUT_SECONDS,
    as_json: JsonOption = False,
) -> None:
    """Go back to the version before, and watch until it serves.

    Example: cloudx cluster rollback backend
    """
    with ending_in_words():
        from cloudx.cluster.bootstrap import rollouts

        from .display import display_of

        with display_of(job_id) as show:
            outcome = rollouts(load_settings()).roll_back(job_id, to, show, timeout_seconds)
        _end(outcome, as_json)


@cluster.command()
def drain(
    node: Annotated[str, _NODE],
    deadline_seconds: Annotated[int, _DEADLINE] = DRAIN_DEADLINE_SECONDS,
    off: Annotated[bool, _OFF] = False,
    as_json: JsonOption = False,
) -> None:
    """Move a machine's work elsewhere, and watch until it is empty and safe to take down.

    Example: cloudx cluster drain vps3 --deadline 300
    """
    with ending_in_words():
        from cloudx.cluster.bootstrap import drains
        from cloudx.cluster.drain import has_drained
        from cloudx.terminal import print_json, say

        from .display import drain_display_of
        from .tables import document

        drain_node = drains(load_settings())
        machine = drain_node.find(node)
        if off:
            machine = drain_node.restore(machine)
            print_json(document(machine)) if as_json else say(f"{machine.name} takes work again.")
            return
        with drain_display_of(machine.name) as show:
            progress = drain_node.drain(machine, deadline_seconds, show)
        if as_json:
            print_json(document(progress))
        if not has_drained(progress):
            left = f"{machine.name} is not empty: {len(progress.left)} left. Was the drain ended by somebody else?"
            exit_with(left, "drain_failed")
        say(f"{machine.name} is empty. `cloudx cluster drain {machine.name} --off` brings it back.")


def _read_job(name: str, assignments: list[str], version: str | None) -> JobSource:
    """Read the job file; typed variables come before those of the shell. Raises InvalidInput."""
    from cloudx.cluster.job_variables import refuse_undeclared
    from cloudx.cluster.nomad_ports import JobSource

    file = Path(name) if name.endswith((".hcl", ".nomad")) else Path("jobs") / f"{name}.nomad.hcl"
    try:
        hcl = file.read_text()
    except (OSError, ValueError) as error:
        raise InvalidInput(
            "job", f"{file} cannot be read ({error}). Name a job file, or run this in a checkout."
        ) from None
    typed = dict(_variable(assignment) for assignment in assignments) | ({"version": version} if version else {})
    refuse_undeclared(hcl, typed)
    return JobSource(hcl, nomad_variables() | typed)


def _variable(assignment: str) -> tuple[str, str]:
    name, equals, value = assignment.partition("=")
    if not equals or not name:
        raise InvalidInput("var", f"--var takes NAME=VALUE, not {assignment!r}.")
    return name, value


def _end(outcome: RolloutOutcome, as_json: bool) -> None:
    from cloudx.terminal import print_json, say

    from .tables import document, print_failure

    if as_json:
        print_json(document(outcome))
    if outcome.succeeded:
        say(outcome.message)
        return
    if not as_json:
        print_failure(outcome)
    exit_with(outcome.message, "rollout_failed")
