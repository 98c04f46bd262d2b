"""What a user would have without a causal model, to be beaten in the same run.

- Replay: the recorded traces as they are.
- ExpertSim: the declared physics rolls forward under the policy, and whatever else the decision
  reaches stays as it was recorded; for streaming, the logged throughput is replayed. It is the
  expert's simulator of CausalSim (Alomar et al., NSDI 2023, section 2), and needs no code of its
  own: each learned variable below the decision is *set* to its recorded values.
- SLSim: a network without latents; see `baseline_supervised`.
- Off-policy estimates, where the arms' policies say how likely their choices were; see `offpolicy`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from causalsys.data.schema import columns_of
from causalsys.scm.declaration import Declaration
from causalsys.simulate.onestep import learned_below
from causalsys.simulate.simulate import as_do

REPLAY, EXPERT, SUPERVISED, OFF_POLICY = "replay", "expert", "supervised", "off-policy"
BASELINES = (REPLAY, EXPERT, SUPERVISED, OFF_POLICY)

if TYPE_CHECKING:
    import pandas as pd


def expert(policy: Any, declaration: Declaration, recorded: pd.DataFrame) -> Mapping[str, Any]:
    """What ExpertSim does in `do`: the policy, and learned variables as they were recorded.

    Args:
        policy: What decides, as for `cs.simulate`.
        declaration: The model.
        recorded: The recorded rows.
    """
    done = dict(as_do(policy, EXPERT, declaration))
    for node in learned_below(declaration):
        columns = columns_of(node)
        kept = recorded[columns].to_numpy()
        done[node.name] = kept if node.support.size else kept[:, 0]
    return done


__all__ = ["BASELINES", "EXPERT", "OFF_POLICY", "REPLAY", "SUPERVISED", "expert"]
