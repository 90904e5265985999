"""The page in the production shape: through Fabio, with scans by workers that Nomad starts."""

from __future__ import annotations

from typing import Any

from fixtures.walk import walk_from_the_door_to_a_diff


def test_a_new_user_walks_from_the_door_to_a_diff(dev_cluster: Any, new_visitor: Any) -> None:
    environment = dev_cluster.environment
    walk_from_the_door_to_a_diff(new_visitor(environment["CLOUDX_URL"]), environment["CLOUDX_TOKEN"])
