"""An additive-noise model whose location is a sum of boosted trees.

scikit-learn grows the trees (histogram gradient boosting; Ke et al., NeurIPS 2017). They are then
copied into tensors and its object is dropped, so that a saved model holds no code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causalsys.errors import FitError
from causalsys.mechanisms.additive import Additive
from causalsys.mechanisms.base import Parents, Sample
from causalsys.mechanisms.features import Scale
from causalsys.mechanisms.forest import evaluate, stack
from causalsys.mechanisms.training import Training

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingRegressor

    from causalsys.mechanisms.nbinom import Array

_FOLDS = 3
_LEAST_ROWS = 10
_DEPTH = 8
_MORE = 1.5
"""How many times the rounds that predict best are grown: what the last ones would still have
learned is bias, which no spread of members contains (undersmoothing; Hall, 1992)."""


@dataclass(frozen=True)
class TreesMechanism(Additive):
    """`link(value) = trees(parents) + residual`, one forest for each member.

    The law of the residuals is that of rows which their trees have not seen (threefold
    cross-fitting): trees follow their own rows too closely, and would promise too narrow a
    noise. The same folds say how many rounds help, and somewhat more are grown. Members other
    than the first are grown on halves of the rows. A forest is constant outside the range of
    its data.
    """

    @property
    def scale(self) -> Scale:
        return "raw"

    def location(self, parents: Parents) -> Tensor:
        design = self.columns(parents)
        if design is None:
            return self.state["base"]
        return self.state["base"] + evaluate(design, self.state)

    def start(self, sample: Sample, *, generator: torch.Generator) -> Self:
        state = self._start_columns(sample)
        line = self.with_state(state).line(sample.value)
        width = state["center"].shape[-1]
        state["base"] = line.mean().expand(sample.members, 1).clone()
        state["log_scale"] = (
            line.std(unbiased=False).clamp(min=1e-9).log().expand(sample.members, 1)
        )
        none = stack([[] for _ in range(sample.members)])
        return self.with_state(state | (none if width else {}))

    def fit(self, sample: Sample, *, training: Training) -> Self:
        if sample.rows < _LEAST_ROWS:
            raise FitError(
                "BoostedTrees",
                found=f"{sample.rows} rows",
                mend=f"Give at least {_LEAST_ROWS}, or use cs.Linear().",
            )
        started = self.start(sample, generator=training.generator())
        design = started.columns(sample.parents)
        line = started.line(sample.value)
        if design is None:
            design = line.new_zeros(*line.shape, 1)
        features, target = design.cpu().numpy(), line.cpu().numpy()
        weight = sample.weight.cpu().numpy()
        outside, rounds = self._cross_fit(features[0], target[0], weight[0], seed=training.seed)
        forests, bases = [], []
        for member in range(sample.members):
            own = min(member, len(features) - 1), min(member, len(target) - 1)
            grower = self._grower(rounds, seed=training.seed)
            kept = _half(weight[0], weight[member]) if member else slice(None)
            grower.fit(features[own[0]][kept], target[own[1]][kept], sample_weight=weight[0][kept])
            forests.append([tree.nodes for (tree,) in grower._predictors])
            bases.append(float(np.squeeze(grower._baseline_prediction)))
        residual = line.new_tensor(outside).unsqueeze(0)
        state = {
            **started.state,
            **(stack(forests) if self.parents else {}),
            "base": line.new_tensor(bases).unsqueeze(-1),
            **self._residual(residual, sample.weight),
        }
        return self.with_state(state)

    def finish(self, sample: Sample) -> Self:
        """Nothing: the law of the residuals is from unseen rows, and `fit` has it."""
        return self

    def _cross_fit(
        self, features: Array, target: Array, weight: Array, *, seed: int
    ) -> tuple[Array, int]:
        """The residuals of unseen rows, `[row]`, and the rounds that pay."""
        rows = len(target)
        fold = np.random.default_rng(seed).permutation(rows) % _FOLDS
        residual, rounds = np.empty(rows), []
        for held in range(_FOLDS):
            inside = fold != held
            grower = self._grower(self.spec.rounds, seed=seed, stop=True)
            grower.fit(features[inside], target[inside], sample_weight=weight[inside])
            residual[~inside] = target[~inside] - grower.predict(features[~inside])
            rounds.append(grower.n_iter_)
        return residual, min(round(_MORE * float(np.mean(rounds))), self.spec.rounds)

    def _grower(
        self, rounds: int, *, seed: int, stop: bool = False
    ) -> HistGradientBoostingRegressor:
        # scikit-learn takes a second to import, and only this family needs it.
        from sklearn.ensemble import HistGradientBoostingRegressor as Grower

        options: dict[str, Any] = {"early_stopping": True} if stop else {"early_stopping": False}
        return Grower(
            max_iter=rounds,
            learning_rate=self.spec.learning_rate,
            max_leaf_nodes=self.spec.leaves,
            max_depth=_DEPTH,
            random_state=seed,
            **options,
        )


def _half(own: Array, drawn: Array) -> NDArray[np.intp]:
    """The half of the rows that a bootstrap weighs most: a random half of them.

    Around the whole, halves vary as a bootstrap does (Politis and Romano, 1994), and unlike
    weights they also show what coarser leaves would say.
    """
    share = np.divide(drawn, own, out=np.full_like(drawn, -1.0), where=own > 0)
    return np.argsort(-share, kind="stable")[: max(int((own > 0).sum() + 1) // 2, 1)]
