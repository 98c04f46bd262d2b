"""The same system in dowhy's `gcm`, as its manual sets one up."""

from __future__ import annotations

import warnings
from typing import Any

import networkx as nx
import pandas as pd

from benchmarks.system import System


def declared(system: System) -> Any:
    """Linear additive-noise models, and the data themselves at the roots."""
    from dowhy import gcm

    gcm.config.disable_progress_bars()
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(system.slopes)
    graph.add_edges_from(system.edges)
    model = gcm.InvertibleStructuralCausalModel(graph)
    for name, causes in system.slopes.items():
        mechanism = (
            gcm.AdditiveNoiseModel(gcm.ml.create_linear_regressor())
            if causes
            else gcm.EmpiricalDistribution()
        )
        model.set_causal_mechanism(name, mechanism)
    return model


def fitted(system: System, data: pd.DataFrame) -> Any:
    """The system, declared and fitted."""
    from dowhy import gcm

    model = declared(system)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gcm.fit(model, data)
    return model


def counterfactual(model: Any, frame: pd.DataFrame, cause: str, value: float) -> pd.DataFrame:
    """What the rows would have been."""
    from dowhy import gcm

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return gcm.counterfactual_samples(model, {cause: lambda _: value}, observed_data=frame)
