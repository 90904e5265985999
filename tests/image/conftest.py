"""The container fixtures, for this folder alone: they build an image, so nobody else waits for them."""

from fixtures.servers.containers import checkout, container_network, docker_daemon, image, start, start_api, volume

__all__ = ["checkout", "container_network", "docker_daemon", "image", "start", "start_api", "volume"]
