"""Counterfactual error on the public SCMs, beside dowhy and a flow masked by the graph.

Each is fitted to the same 5,000 rows with nothing but the graph, ours by automatic mechanisms.
Each variable that has effects is then set to five quantiles of its own in 1,000 other rows. An
error is the root mean square, over rows and quantiles, of what was predicted less the truth, in
standard deviations of that effect in the training rows; the mean over causes and effects is the
SCM's. A peer is the better of two: dowhy's automatic assignment or its boosted trees, a flow of
affine maps or of splines. `diamond` has a pole, so that its `x4` has no variance, and a row in a
thousand makes its whole mean square: there the mean absolute error, in the notes, tells more.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from statistics import mean, median

import networkx as nx
import numpy as np
import pandas as pd

import causalsys as cs
from benchmarks.lines import Line
from benchmarks.trust.masked_flow import MaskedFlow
from benchmarks.trust.public_scms import PUBLIC, PublicSCM

NAME = "public"
_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
_SAME = 1.001
"""Errors are the same up to this ratio: where the truth is linear, all are least squares."""
_MEDIAN = 0.02
Counterfactual = Callable[[pd.DataFrame, Mapping[str, float]], pd.DataFrame]


@dataclass(frozen=True)
class Error:
    """How far counterfactuals are off, in standard deviations.

    Attributes:
        square: The root mean square.
        absolute: The mean absolute error.
    """

    square: float
    absolute: float

    @classmethod
    def mean(cls, errors: Sequence[Error]) -> Error:
        """The mean of several."""
        return cls(*(mean(column) for column in zip(*map(astuple, errors), strict=True)))


def run(*, quick: bool) -> list[Line]:
    """Every SCM, over five seeds; quickly, two of them over one."""
    rows, held = (1000, 200) if quick else (5000, 1000)
    seeds = range(1) if quick else range(5)
    found, ours = [], []
    for scm in PUBLIC[:2] if quick else PUBLIC:
        each = [_errors(scm, rows=rows, held=held, seed=seed) for seed in seeds]
        errors = {name: Error.mean([one[name] for one in each]) for name in each[0]}
        own = errors.pop("ours")
        peer = min(errors, key=lambda name: errors[name].square)
        ours.append(own)
        told = ", ".join(f"{name} {error.square:.3g}" for name, error in sorted(errors.items()))
        least = min(error.absolute for error in errors.values())
        found.append(
            Line(
                NAME,
                scm.name,
                own.square,
                f"≤ {errors[peer].square:.4g} ({peer})",
                own.square <= _SAME * errors[peer].square,
                f"RMSE in SD, mean of seeds {seeds.start}–{seeds.stop - 1}; {told}; "
                f"mean absolute {own.absolute:.3g}, best peer {least:.3g}",
            )
        )
    middle = median(error.square for error in ours)
    absolute = median(error.absolute for error in ours)
    note = f"of the figures above; by the mean absolute error {absolute:.3g}"
    return [*found, Line(NAME, "median SCM", middle, f"≤ {_MEDIAN}", middle <= _MEDIAN, note)]


def _errors(scm: PublicSCM, *, rows: int, held: int, seed: int) -> dict[str, Error]:
    """The error of each method on one draw of data."""
    rng = np.random.default_rng(seed)
    data, noise = scm.values(scm.noise(rows, rng=rng)), scm.noise(held, rng=rng)
    methods = {
        "ours": _ours(scm, data, seed=seed),
        "dowhy, automatic": _dowhy(scm, data, automatic=True, seed=seed),
        "dowhy, trees": _dowhy(scm, data, automatic=False, seed=seed),
        "flow, affine": MaskedFlow.fitted(scm.parents, data, splines=False, seed=seed),
        "flow, splines": MaskedFlow.fitted(scm.parents, data, splines=True, seed=seed),
    }
    return {name: error_of(scm, asked, data, noise) for name, asked in methods.items()}


def error_of(
    scm: PublicSCM, asked: Counterfactual, data: pd.DataFrame, noise: pd.DataFrame
) -> Error:
    """The mean over causes and their effects."""
    factual = scm.values(noise)
    found = []
    for cause in [name for name in scm.parents if scm.below(name)]:
        worlds = [{cause: float(data[cause].quantile(level))} for level in _QUANTILES]
        truth = pd.concat([scm.values(noise, do=do) for do in worlds], ignore_index=True)
        told = pd.concat([asked(factual, do) for do in worlds], ignore_index=True)
        for effect in scm.below(cause):
            missed = (truth[effect] - told[effect]) / data[effect].std()
            found.append(Error(float(np.sqrt((missed**2).mean())), float(missed.abs().mean())))
    return Error.mean(found)


def _ours(scm: PublicSCM, data: pd.DataFrame, *, seed: int) -> Counterfactual:
    fitted = cs.SCM.from_graph(scm.edges).fit(data, seed=seed)

    def asked(frame: pd.DataFrame, do: Mapping[str, float]) -> pd.DataFrame:
        answer = fitted.counterfactual(frame, do=dict(do))
        (cause,) = do
        return pd.DataFrame({name: answer.mean(name) for name in scm.below(cause)})

    return asked


def _dowhy(scm: PublicSCM, data: pd.DataFrame, *, automatic: bool, seed: int) -> Counterfactual:
    from dowhy import gcm

    gcm.config.disable_progress_bars()
    gcm.config.set_default_n_jobs(1)
    logging.getLogger("dowhy").setLevel(logging.ERROR)
    gcm.util.general.set_random_seed(seed)
    model = gcm.InvertibleStructuralCausalModel(nx.DiGraph(scm.edges))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if automatic:
            gcm.auto.assign_causal_mechanisms(model, data)
        for name, causes in scm.parents.items():
            if automatic:
                continue
            trees = gcm.ml.create_hist_gradient_boost_regressor
            family = gcm.AdditiveNoiseModel(trees()) if causes else gcm.EmpiricalDistribution()
            model.set_causal_mechanism(name, family)
        gcm.fit(model, data)

    def asked(frame: pd.DataFrame, do: Mapping[str, float]) -> pd.DataFrame:
        ((cause, value),) = do.items()
        done = {cause: lambda _: value}
        return gcm.counterfactual_samples(model, done, observed_data=frame)

    return asked
