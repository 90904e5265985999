"""The command `cloudx dev`: the production shape on this machine."""

from .command import dev

__all__ = ["dev"]
