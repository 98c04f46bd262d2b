"""The learned parts of a model, to tensors and JSON values and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from causalsys.data.schema import Schema
from causalsys.fit.diagnostics import DistrictReport, VariableReport
from causalsys.fit.guide import Guide
from causalsys.mechanisms.base import Mechanism
from causalsys.mechanisms.build import build
from causalsys.scm.codec import spec_from, support_from
from causalsys.scm.declaration import describe


@dataclass(frozen=True)
class Parts:
    """What fitting some blocks gave.

    Attributes:
        mechanisms: By variable.
        guides: Of districts with continuous latents.
        variables: A report for each variable.
        districts: A report for each district with latents.
    """

    mechanisms: Mapping[str, Mechanism]
    guides: tuple[Guide, ...]
    variables: Mapping[str, VariableReport]
    districts: tuple[DistrictReport, ...]

    @classmethod
    def joined(cls, several: Sequence[Parts]) -> Parts:
        """The parts of several blocks as one."""
        return cls(
            {name: each for part in several for name, each in part.mechanisms.items()},
            tuple(guide for part in several for guide in part.guides),
            {name: each for part in several for name, each in part.variables.items()},
            tuple(district for part in several for district in part.districts),
        )


def encode(parts: Parts) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors by path, and all else as JSON values."""
    tensors: dict[str, Tensor] = {}
    mechanisms: dict[str, Any] = {}
    for place, name in enumerate(sorted(parts.mechanisms)):
        mechanism = parts.mechanisms[name]
        mechanisms[name] = {"spec": describe(mechanism.spec), "notes": list(mechanism.notes)}
        tensors |= {f"mechanism/{place}/{key}": value for key, value in mechanism.state.items()}
    guides = []
    for index, guide in enumerate(parts.guides):
        inputs = {key: describe(support) for key, support in guide.inputs.items()}
        guides.append(
            {
                "latents": list(guide.latents),
                "sizes": list(guide.sizes),
                "inputs": inputs,
                "per_trace": guide.per_trace,
            }
        )
        tensors |= {f"guide/{index}/{key}": value for key, value in guide.state.items()}
    content = {
        "mechanisms": mechanisms,
        "guides": guides,
        "variables": {name: asdict(report) for name, report in parts.variables.items()},
        "districts": [asdict(report) for report in parts.districts],
    }
    return tensors, content


def decode(tensors: Mapping[str, Tensor], content: Mapping[str, Any], *, schema: Schema) -> Parts:
    """The parts that `encode` wrote, for the model of `schema`."""
    mechanisms = {}
    for place, (name, values) in enumerate(sorted(content["mechanisms"].items())):
        node = schema.declaration.node(name)
        spec = spec_from(values["spec"], declared=node.mechanism)
        empty = build(spec, schema.supports[name], parents=schema.parent_supports(node))
        prefix = f"mechanism/{place}/"
        mechanisms[name] = empty.with_state(_under(prefix, tensors)).noted(*values["notes"])
    guides = tuple(
        Guide(
            tuple(values["latents"]),
            tuple(values["sizes"]),
            {key: support_from(support) for key, support in values["inputs"].items()},
            values["per_trace"],
            _under(f"guide/{index}/", tensors),
        )
        for index, values in enumerate(content["guides"])
    )
    variables = {
        name: VariableReport(**{**values, "warnings": tuple(values["warnings"])})
        for name, values in content["variables"].items()
    }
    return Parts(mechanisms, guides, variables, tuple(map(_district, content["districts"])))


def _district(values: Mapping[str, Any]) -> DistrictReport:
    return DistrictReport(
        tuple(values["latents"]),
        tuple(values["variables"]),
        method=values["method"],
        log_likelihood=values["log_likelihood"],
        restarts=values["restarts"],
        agreeing=values["agreeing"],
        converged=values["converged"],
        independences={name: tuple(keys) for name, keys in values["independences"].items()},
    )


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        path.removeprefix(prefix): tensor
        for path, tensor in tensors.items()
        if path.startswith(prefix)
    }
