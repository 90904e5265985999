"""The variables of a job file: which it has, and their values as the HCL that Nomad parses. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from cloudx.domain.errors import InvalidInput

from .nomad_ports import JobSource

_VARIABLE = re.compile(r'^variable\s+"([^"]+)"\s*\{(.*?)^\}', re.DOTALL | re.MULTILINE)
_TYPE = re.compile(r"^\s*type\s*=\s*(\S+)", re.MULTILINE)


def variables_file(source: JobSource) -> str:
    """The variables as an HCL file, those that the job declares: a shell's NOMAD_VAR_… serve many jobs."""
    types = declared_variables(source.hcl)
    chosen = {name: value for name, value in source.variables.items() if name in types}
    return "".join(f"{name} = {_expression(value, types[name])}\n" for name, value in chosen.items())


def refuse_undeclared(hcl: str, variables: Mapping[str, str]) -> None:
    """Raises InvalidInput for a variable that somebody typed and the job does not have."""
    known = declared_variables(hcl)
    for name in variables:
        if name not in known:
            message = f"The job has no variable {name!r}. It has: {', '.join(sorted(known)) or 'none'}."
            raise InvalidInput("var", message)


def declared_variables(hcl: str) -> dict[str, str]:
    """The name and type of each `variable` block of a job file."""
    blocks = {name: _TYPE.search(body) for name, body in _VARIABLE.findall(hcl)}
    return {name: found[1] if found else "string" for name, found in blocks.items()}


def _expression(value: str, type_name: str) -> str:
    """As Nomad's own command reads it: text for a string, an expression for anything else."""
    if type_name != "string":
        return value
    return json.dumps(value).replace("${", "$${").replace("%{", "%%{")
