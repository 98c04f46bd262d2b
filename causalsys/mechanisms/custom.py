'''Families of the user's own.

Subclass `Mechanism`, give `start`, `log_prob`, `pull` and `push`, and name the class in the
declaration; it is then fitted, asked and saved like any other:

```python
@dataclass(frozen=True)
class Laplace(cs.mechanisms.Mechanism):
    """value = center + scale · (Laplace noise), the scale given in the declaration."""

    def start(self, sample, *, generator):
        return self.with_state({"middle": sample.value.median(-1, keepdim=True).values})

    def log_prob(self, value, parents): ...
    def pull(self, value, parents, *, generator=None): ...
    def push(self, noise, parents): ...

latency = cs.Observed(cs.Real("ms"), mechanism=cs.Custom(family=Laplace, options={"scale": 2.0}))
```

The options are in `self.spec.options`. All parameters live in `state`, tensors whose first axis
is the member's; a class keeps no other. Training by gradient leaves alone the names in `state`
that begin as `constants` says. A vector-valued family sets `noise_shape` and sums `log_prob` over
the components itself. `causalsys.mechanisms.conformance.check_mechanism` says whether the family
keeps the contract.
'''

from __future__ import annotations

from collections.abc import Mapping

from causalsys.errors import DeclarationError
from causalsys.mechanisms.base import Mechanism
from causalsys.scm.specs import Custom
from causalsys.scm.supports import Support


def build_custom(spec: Custom, support: Support, *, parents: Mapping[str, Support]) -> Mechanism:
    """The user's mechanism, without parameters yet.

    Raises:
        DeclarationError: The family is not a subclass of `Mechanism`, or is abstract.
    """
    family = spec.family
    if not (isinstance(family, type) and issubclass(family, Mechanism)):
        raise DeclarationError(
            "Custom",
            found=f"the family {family!r}, which is no subclass of Mechanism",
            mend="Subclass causalsys.mechanisms.Mechanism.",
        )
    missing = sorted(getattr(family, "__abstractmethods__", ()))
    if missing:
        raise DeclarationError(
            family.__name__,
            found=f"no {', '.join(missing)}",
            mend="Define what the contract of Mechanism asks for.",
        )
    return family(spec, support, parents)
