"""Districts with latents: stochastic variational inference in Pyro with an amortised guide.

Every member of the ensemble is a restart of its own, trained side by side along one batched
axis. Restarts start from different random slopes, because a symmetric start keeps latents
uninformative; those that end in a worse optimum are dropped. What the graph says about a latent
is part of the objective: its prior depends on nothing that it is independent of, and the
aggregate of its posterior may not either (`independence.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch
from pyro.infer import TraceMeanField_ELBO
from torch import Tensor

from causalsys.fit.guide import Guide
from causalsys.fit.independence import penalty
from causalsys.fit.joint import Scope
from causalsys.fit.posterior import propose, summed_out
from causalsys.fit.program import guide as guide_program
from causalsys.fit.program import model as model_program
from causalsys.fit.slope_pull import log_prior, spread
from causalsys.mechanisms.training import Training

_LOOK_EVERY = 50
_WARM_UP = 0.3
_DRAWS = 16


@dataclass(frozen=True)
class District:
    """A block with latents, in training.

    Attributes:
        scope: The rows, the mechanisms and the nodes in causal order.
        guide: The guide of the continuous latents; None when all are categorical.
        weight: `[member, row]`.
        independences: For each latent, the guide's inputs that the graph separates from it.
    """

    scope: Scope
    guide: Guide | None
    weight: Tensor
    independences: Mapping[str, tuple[str, ...]]

    def take(self, rows: Tensor) -> District:
        """The district over these rows only."""
        return replace(self, scope=self.scope.take(rows), weight=self.weight.index_select(1, rows))

    def parameters(self) -> dict[str, Tensor]:
        """Everything that training may change, by a path such as `latency/weight`."""
        found = {
            f"{name}/{key}": tensor
            for name, mechanism in self.scope.mechanisms.items()
            for key, tensor in mechanism.state.items()
            if not key.startswith(mechanism.constants)
        }
        if self.guide is not None:
            constant = ("center", "spread", "offset")
            found |= {
                f"/{key}": tensor
                for key, tensor in self.guide.state.items()
                if not key.startswith(constant)
            }
        return found

    def with_parameters(self, parameters: Mapping[str, Tensor]) -> District:
        """The district under other parameters."""
        mechanisms = dict(self.scope.mechanisms)
        state: dict[str, dict[str, Tensor]] = {}
        for path, tensor in parameters.items():
            name, key = path.rsplit("/", 1)
            state.setdefault(name, {})[key] = tensor
        for name, changed in state.items():
            if name:
                mechanisms[name] = mechanisms[name].with_state(
                    {**mechanisms[name].state, **changed}
                )
        guide = self.guide
        if guide is not None and "" in state:
            guide = guide.with_state({**guide.state, **state[""]})
        return replace(self, scope=self.scope.with_mechanisms(mechanisms), guide=guide)


@dataclass(frozen=True)
class Outcome:
    """A trained district.

    Attributes:
        district: With the kept restarts as members, the best first.
        score: Held-out log likelihood per row of each member (an importance-weighted bound).
        agreeing: How many restarts ended in the best optimum.
        converged: Whether training stopped before its budget did.
    """

    district: District
    score: Tensor
    agreeing: int
    converged: bool


def train(district: District, *, training: Training, warmed: bool = False) -> Outcome:
    """Train all restarts side by side.

    Args:
        district: What to train.
        training: How.
        warmed: Whether it starts near an optimum already; the latents' price is then full
            from the first step.
    """
    generator = training.generator()
    learn, check = _split(district, training, generator)
    parameters = {
        path: tensor.clone().requires_grad_(True) for path, tensor in district.parameters().items()
    }
    optimiser = torch.optim.Adam(list(parameters.values()), lr=training.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=training.rate, total_steps=max(training.steps, 20), pct_start=0.1
    )
    best = {path: tensor.detach().clone() for path, tensor in parameters.items()}
    best_score = torch.full((district.weight.shape[0],), -math.inf, dtype=torch.float64)
    since, converged = 0, False
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        for step in range(training.steps):
            warm = 1.0 if warmed else min(1.0, (step + 1) / (_WARM_UP * training.steps))
            batch = learn.take(_batch(learn, training.batch, generator))
            optimiser.zero_grad()
            tried = batch.with_parameters(parameters)
            loss = _loss(tried, prior_weight=warm)
            (loss - log_prior(tried.scope.mechanisms) / learn.scope.rows).backward()
            torch.nn.utils.clip_grad_norm_(parameters.values(), 10.0 * len(best_score))
            optimiser.step()
            schedule.step()
            last = step + 1 == training.steps
            if ((step + 1) % _LOOK_EVERY and not last) or warm < 1:
                continue
            score = bound(check.with_parameters(parameters))
            better = score > best_score + 1e-4
            best_score = torch.where(better, score, best_score)
            for path, tensor in parameters.items():
                if tensor.shape[0] == len(better):
                    best[path][better] = tensor.detach()[better]
            since = 0 if bool(better.any()) else since + 1
            if since >= training.patience:
                converged = True
                break
    outcome = _chosen(district.with_parameters(best), best_score, converged=converged)
    kept = outcome.district
    wider = spread(kept.scope, weight=kept.weight, generator=generator)
    kept = replace(kept, scope=kept.scope.with_mechanisms(wider))
    return replace(outcome, district=kept)


def _loss(district: District, *, prior_weight: float) -> Tensor:
    """The negative evidence lower bound per row plus the penalty, summed over members."""
    scope, weight = district.scope, district.weight
    program = partial(model_program, weight=weight, prior_weight=prior_weight)
    if district.guide is None:
        return -(scope.unit_weight(weight) * summed_out(scope, {})).sum() / scope.rows
    posterior = partial(
        guide_program, posterior=district.guide, weight=weight, prior_weight=prior_weight
    )
    elbo = TraceMeanField_ELBO()
    loss = elbo.differentiable_loss(program, posterior, scope) / scope.rows
    if district.guide.per_trace or not any(district.independences.values()):
        return loss
    inputs = {key: scope.known[key] for key in district.guide.inputs}
    mean, _ = district.guide.posterior(inputs)
    return loss + prior_weight * (
        penalty(
            district.guide,
            mean,
            scope.known,
            independences=district.independences,
            weight=weight,
        ).sum()
    )


def bound(district: District) -> Tensor:
    """The importance-weighted bound on the log likelihood per row, `[member]`.

    Burda, Grosse and Salakhutdinov, ICLR 2016; exact where all latents are categorical.
    """
    with torch.no_grad():
        scope = district.scope
        # All restarts are judged on the same rows: member 0 has the rows' own weights.
        weight = scope.unit_weight(district.weight[:1])
        if district.guide is None:
            per_unit = summed_out(scope, {})
        else:
            proposal = propose(district.guide, scope, draws=_DRAWS)
            joint = summed_out(scope, proposal.noises) + proposal.log_ratio
            per_unit = torch.logsumexp(joint, 0) - math.log(_DRAWS)
        return (weight * per_unit).sum(-1) / district.weight[:1].sum(-1)


def _split(
    district: District, training: Training, generator: torch.Generator
) -> tuple[District, District]:
    """Rows to learn from and rows to look at, by whole traces."""
    trace = district.scope.layout.trace
    traces = int(trace.max()) + 1
    held = torch.zeros(traces, dtype=torch.bool)
    order = torch.randperm(traces, generator=generator)
    held[order[: max(int(training.held_out * traces), 1)]] = True
    if traces == 1:
        held[:] = False
        everything = torch.arange(len(trace))
        return district, district.take(everything)
    rows = held[trace]
    return district.take((~rows).nonzero()[:, 0]), district.take(rows.nonzero()[:, 0])


def _batch(district: District, size: int, generator: torch.Generator) -> Tensor:
    """Rows of one step: some rows, or all rows of some traces where latents belong to traces."""
    rows = district.scope.rows
    if rows <= size:
        return torch.arange(rows)
    if district.scope.by_trace:
        trace = district.scope.layout.trace
        traces = int(trace.max()) + 1
        wanted = max(int(size * traces / rows), 8)
        chosen = torch.zeros(traces, dtype=torch.bool)
        chosen[torch.randperm(traces, generator=generator)[:wanted]] = True
        return chosen[trace].nonzero()[:, 0]
    return torch.randint(rows, (size,), generator=generator).sort().values


def _chosen(district: District, score: Tensor, *, converged: bool) -> Outcome:
    """Keep the restarts that found the best optimum; their copies replace the others."""
    order = score.argsort(descending=True)
    # Nats per row: a gap that size over all rows would be seen, were it not for the bound's
    # own Monte Carlo error.
    tolerance = 3.0 / math.sqrt(district.scope.rows) / 10 + 0.005
    good = order[score[order] >= score.max() - tolerance]
    alike = _mirrored_left_out(district, good)
    index = alike[torch.arange(len(score)) % len(alike)]
    scope = district.scope.with_mechanisms(
        {name: mechanism.members(index) for name, mechanism in district.scope.mechanisms.items()}
    )
    guide = district.guide.members(index) if district.guide is not None else None
    kept = replace(district, scope=scope, guide=guide)
    return Outcome(kept, score[index], agreeing=len(good), converged=converged)


def _mirrored_left_out(district: District, good: Tensor) -> Tensor:
    """Of the restarts `good`, best first, those in which every latent points the same way.

    A latent and its mirror image fit alike, and a mean over members would cancel them. Not
    every mechanism can be turned around (an equation cannot), so mirrored ones are left out.
    """
    if district.guide is None:
        return good
    with torch.no_grad():
        inputs = {key: district.scope.known[key] for key in district.guide.inputs}
        mean, _ = district.guide.posterior(inputs, trace=district.scope.layout.trace)
    centered = mean[good] - mean[good].mean(-2, keepdim=True)
    same = (centered * centered[:1]).sum(-2) > 0
    return good[same.all(-1)]
