"""What a route can reach: the services of its process and the principal of its request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from flask import current_app, g

from cloudx.domain.access import Principal

from .dependencies import Dependencies
from .embed_results import EmbedResults
from .metrics.process import ProcessFigures, round_ended
from .present_nodes import NodeLists

EXTENSION = "cloudx"


@dataclass(frozen=True)
class ApiProcess:
    """The dependencies, and what the API itself keeps in memory."""

    dependencies: Dependencies
    embed_results: EmbedResults
    node_lists: NodeLists
    figures: ProcessFigures

    def start_background(self) -> None:
        """Begin to watch the fleet, sample this machine, look up excluded names, remove what is old, dispatch.

        Once in each process, after the fork.
        """
        self.dependencies.fleet.start()
        self.dependencies.host_history.start()
        for rounds in self.dependencies.rounds:
            rounds.start(round_ended)
        self.figures.start()
        if self.dependencies.dispatching is not None:
            self.dependencies.dispatching.start()

    def stop_waiting(self) -> None:
        """Answer the workers that wait for work, and end the streams: this process is about to end."""
        self.dependencies.events.close()
        self.dependencies.work_signal.close()


def process() -> ApiProcess:
    """What this process keeps in memory, with its dependencies."""
    return cast(ApiProcess, current_app.extensions[EXTENSION])


def deps() -> Dependencies:
    """The services and settings."""
    return process().dependencies


def principal() -> Principal:
    """The principal of this request."""
    return cast(Principal, g.principal)
