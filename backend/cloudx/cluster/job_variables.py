"""The variables that a job file declares, and their values as the HCL that Nomad parses."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from cloudx.domain.errors import InvalidInput

from .nomad_ports import JobSource

_VARIABLE = re.compile(r'^variable\s+"([^"]+)"\s*\{(.*?)^\}', re.DOTALL | re.MULTILINE)
_TYPE = re.compile(r"^\s*type\s*=\s*(\S+)", re.MULTILINE)


def variables_file(source: JobSource) -> str:
    """The declared variables as an HCL file; others are left out, since a shell's NOMAD_VAR_… serve many jobs."""
    types = declared_variables(source.hcl)
    chosen = {name: value for name, value in source.variables.items() if name in types}
    return "".join(f"{name} = {_expression(value, types[name])}\n" for name, value in chosen.items())


def refuse_undeclared(hcl: str, variables: Mapping[str, str]) -> None:
    """Raises InvalidInput for a typed variable that the job does not declare."""
    known = declared_variables(hcl)
    for name in variables:
        if name not in known:
            names = ", ".join(sorted(known)) or "none"
            raise InvalidInput("var", f"The job has no variable {name!r}. It has: {names}.")


def declared_variables(hcl: str) -> dict[str, str]:
    """The name and type of each `variable` block of a job file."""
    blocks = {name: _TYPE.search(body) for name, body in _VARIABLE.findall(hcl)}
    return {name: found[1] if found else "string" for name, found in blocks.items()}


def _expression(value: str, type_name: str) -> str:
    """The value as Nomad's own command reads it: text for a string, else an expression."""
    if type_name != "string":
        return value
    return json.dumps(value).replace("${", "$${").replace("%{", "%%{")
