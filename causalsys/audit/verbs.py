"""`Audit`: what can be asked of a predictor in the causal model of what it predicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from causalsys.audit.attribute import Method, attribute
from causalsys.audit.attribute_outcome import Of
from causalsys.audit.attribute_result import RowAttribution
from causalsys.audit.explain import explain
from causalsys.audit.explain_result import Explanation
from causalsys.audit.explain_row import explain_row
from causalsys.audit.explain_row_result import RowExplanation
from causalsys.audit.subject import Subject
from causalsys.audit.survive import slices
from causalsys.audit.survive_result import AuditedSlices
from causalsys.audit.watching import watching
from causalsys.detect.monitoring import Monitoring
from causalsys.detect.slices import METHODS


@dataclass(frozen=True)
class Audit:
    """A predictor and its error as nodes of a fitted model.

    Attributes:
        subject: The predictor, its target and its loss beside the model.
        notes: What a reader of any answer must know, in sentences.
    """

    subject: Subject
    notes: tuple[str, ...] = ()

    def attribute(
        self,
        rows: object,
        *,
        of: Of = "prediction",
        method: Method = "do",
        permutations: int | None = None,
        background: object = None,
        seed: int = 0,
    ) -> RowAttribution:
        """What each variable contributes to the predictions, or to the errors, of rows.

        With "do", a coalition of variables is set to what the row has, all others follow from
        their causes and from noise of the fitted model, and a coalition is worth the mean
        outcome; contributions are the Shapley values. Causes of what the predictor reads are
        among the variables, so that they get what they contribute through it. The parameters
        are the best estimate.

        Args:
            rows: A frame or a mapping of columns: whatever is set or read, in every row.
            of: "prediction", or "error": the loss, which needs the truth, and of which the
                target's own noise has its part.
            method: "do"; or "shap": the shap library's permutation explainer, for comparison; or
                "slope": how fast the outcome moves with each variable, the row's noises kept and
                no population beside it. (Of a predictor of steps, such as trees, that is 0 nearly
                everywhere.)
            permutations: How many orders of the variables, each with its reverse. By default
                every coalition of up to 8 variables, and 64 orders of more; for "shap" its
                own default.
            background: The reference population: how many draws of the model, by default 100.
                For "shap" it may be rows.
            seed: Fixes all draws.

        Returns:
            The contributions `[row, variable]` in the outcome's unit; each row's sum to its
            outcome less the baseline. `gives_up` says what the method does not have.

        Raises:
            QueryError: An argument is none that can be used, or shap is not installed.
            MissingColumnError: A cause of what is read has no column.
            EvidenceError: A value is missing in a row.
            PredictorError: The predictor fails.
            NotIdentifiedError: Latents act on what is read, and data cannot tell it apart.

        Example:
            >>> import causalsys as cs, numpy as np, pandas as pd
            >>> from causalsys.audit.audit import audit
            >>> class Chain(cs.SCM):
            ...     load = cs.Observed(cs.Real(), mechanism=cs.Linear())
            ...     queue = cs.Observed(cs.Real(), parents=[load], mechanism=cs.Linear())
            ...     delay = cs.Observed(cs.Real(), parents=[queue], mechanism=cs.Linear())
            >>> rng = np.random.default_rng(0)
            >>> load = rng.normal(size=1000)
            >>> queue = load + rng.normal(size=1000)
            >>> rows = pd.DataFrame({"load": load, "queue": queue, "delay": 2 * queue})
            >>> rows["delay"] += rng.normal(size=1000)
            >>> audited = audit(
            ...     Chain.fit(rows), lambda r: 2 * r["queue"], target="delay", inputs=["queue"]
            ... )
            >>> row = {"load": [3.0], "queue": [3.0]}
            >>> {k: round(v) for k, v in audited.attribute(row).of_row(0).items()}
            {'load': 3, 'queue': 3}
            >>> {k: round(v) for k, v in audited.attribute(row, method="shap").of_row(0).items()}
            {'queue': 6}

        Source: Jung, Kasiviswanathan, Tian, Janzing, Blöbaum and Bareinboim, "On measuring causal
        contributions via do-interventions" (ICML 2022).
        """
        return attribute(
            self.subject,
            rows,
            of=of,
            method=method,
            permutations=permutations,
            background=background,
            seed=seed,
        )

    def explain(
        self, before: object, after: object, *, draws: int = 200, level: float = 0.9, seed: int = 0
    ) -> Explanation:
        """Why the error rose between two periods: mix, mechanism, hidden group, labels or columns.

        The rise of the mean loss is split in a chain: the law of what the predictor reads, that of
        the target's causes which it does not read, columns that got stuck, and the target's own
        law given all of these, each exchanged for that of after in turn. So the parts sum to the
        rise. The loss under the old law at the new rows is estimated in the doubly robust way,
        from the fitted mechanism (corrected by rows before) and from reweighted rows. Whether the
        target's law moved for all rows, for a hidden group of them, or only scatters more is
        judged by held-out rows.

        Args:
            before: Rows with the truth, from when the predictor was right: not those that it was
                trained on. At least 50.
            after: Rows with the truth, from when it was wrong.
            draws: Draws of rows, parameters and fits, for the intervals.
            level: The level of the intervals.
            seed: Fixes all draws.

        Returns:
            The parts with intervals and shares, the dominating kind, and the hidden group's
            probabilities by row where there is one.

        Raises:
            EvidenceError: The periods share rows, are too short, or the target is missing, or is
                constant before.
            DataError: The rows do not fit the model.
            PredictorError: The predictor fails on them.
            QueryError: An argument is none that can be used.

        Example:
            >>> import causalsys as cs, numpy as np, pandas as pd
            >>> from causalsys.audit.audit import audit
            >>> class Chain(cs.SCM):
            ...     load = cs.Observed(cs.Real(), mechanism=cs.Linear())
            ...     delay = cs.Observed(cs.Real(), parents=[load], mechanism=cs.Linear())
            >>> rng = np.random.default_rng(0)
            >>> load, noise = rng.normal(size=900), rng.normal(size=900)
            >>> rows = pd.DataFrame({"load": load, "delay": 2 * load + noise})
            >>> rows.loc[600:, "delay"] += 3.0
            >>> audited = audit(
            ...     Chain.fit(rows[:300]), lambda r: 2 * r["load"], target="delay", inputs=["load"]
            ... )
            >>> found = audited.explain(rows[300:600], rows[600:])
            >>> found.kind
            'mechanism change'
            >>> bool(found.share("mechanism change") > 0.9)
            True

        Source: Budhathoki, Janzing, Blöbaum and Ng (AISTATS 2021) for the exchange of mechanisms;
        Cai, Namkoong and Yadlowsky, "Diagnosing model performance under distribution shift"
        (Operations Research 2025) for the split of a loss.
        """
        return explain(self.subject, before, after, draws=draws, level=level, seed=seed)

    def explain_row(
        self, row: object, *, tolerance: float | None = None, seed: int = 0
    ) -> RowExplanation:
        """Why one prediction was wrong, and the smallest changes that would have made it right.

        The row's noises and latents are abducted. A change moves the noise of one variable, or of
        two where no one suffices, and keeps all others: the truth follows by its mechanism, and
        the inputs that then hold are predicted again. It is the variable's noise that is moved,
        so that changes are measured alike: by its standard deviations (of a category, by those of
        the noise behind the level). None is moved to where it is odder than it was, and beyond 3
        standard deviations. The target's own noise is among them: where its change is the
        smallest by far, the row was bad luck that no input tells.

        Where latents or missing columns leave something open, 32 draws are made of it, and right
        means right in half of them. The same row has the same explanation, whichever rows are
        beside it, and rows that are close have explanations that are close.

        Args:
            row: A mapping, a Series, or a frame with one row, with the truth and every input.
                What else is missing is inferred.
            tolerance: The largest error that counts as right, in the unit of the loss. By default
                the median error of rows that the model draws: what is usual.
            seed: Fixes all draws.

        Raises:
            QueryError: The tolerance is no positive number; or there is none, and the model cannot
                draw rows.
            EvidenceError: There is not one row, or the truth or an input is missing.
            UnknownNameError: A name of a mapping, or an input, is not there.
            DataError: It does not fit the model.
            PredictorError: The predictor fails on it, or on rows like it.

        Example:
            >>> import causalsys as cs, numpy as np, pandas as pd
            >>> from causalsys.audit.audit import audit
            >>> class Chain(cs.SCM):
            ...     load = cs.Observed(cs.Real(), mechanism=cs.Linear())
            ...     queue = cs.Observed(cs.Real(), parents=[load], mechanism=cs.Linear())
            ...     delay = cs.Observed(cs.Real(), parents=[queue], mechanism=cs.Linear())
            >>> rng = np.random.default_rng(0)
            >>> load = rng.normal(size=1000)
            >>> queue = load + rng.normal(size=1000)
            >>> rows = pd.DataFrame({"load": load, "queue": queue, "delay": 2 * queue})
            >>> rows["delay"] += rng.normal(size=1000)
            >>> audited = audit(
            ...     Chain.fit(rows), lambda r: 2 * r["load"], target="delay", inputs=["load"]
            ... )  # It does not see the queue.
            >>> found = audited.explain_row({"load": 0.0, "queue": 4.0, "delay": 8.0})
            >>> found.smallest.names
            ('queue',)

        Source: Wachter, Mittelstadt and Russell, "Counterfactual explanations without opening the
        black box" (Harvard JOLT 2018), with changes of noises and by a causal model, as Karimi,
        Schölkopf and Valera ask for (FAccT 2021).
        """
        return explain_row(self.subject, row, tolerance=tolerance, seed=seed)

    def monitor(
        self,
        rows: object,
        *,
        normal: object,
        nodes: Sequence[str] | None = None,
        false_alarms: float = 0.01,
        per: int | Literal["run"] = "run",
        folds: int = 5,
        drift: bool = True,
        reset: bool = False,
        seed: int = 0,
    ) -> Monitoring:
        """Watch the system row by row, and the predictor's error as one more node, "error".

        An alarm of a variable names a mechanism that changed; one of "error" alone says that the
        predictor got worse while all mechanisms are as they were: the mix of its inputs moved to
        where it is weak. See `monitor` for how, for the stated rate, and for the arguments.

        Args:
            rows: The rows to watch, in time order, with the truth.
            normal: Rows from when all was well, in time order. Their errors are taken as they
                are: rows that the predictor was fitted to make it look better than it is.
            nodes: Which variables are watched beside the error; by default all that were learned.
            false_alarms: The chance of a false alarm, all nodes together.
            per: In so many rows; "run" means these rows.
            folds: In how many parts the normal rows are judged by models that have not seen them.
            drift: Whether the drift of the normal period is tolerated.
            reset: Whether a node is watched anew after its alarm.
            seed: Fixes how ties are broken, and draws.

        Raises:
            EvidenceError: The rows do not fit, are not in time order, overlap, or are too few.
            QueryError: An argument is outside what it can be.
            UnknownNameError: A node is not in the model.
            PredictorError: The predictor fails on the rows.

        Example:
            >>> import causalsys as cs, numpy as np, pandas as pd
            >>> from causalsys.audit.audit import audit
            >>> class Chain(cs.SCM):
            ...     load = cs.Observed(cs.Real(), mechanism=cs.Linear())
            ...     delay = cs.Observed(cs.Real(), parents=[load], mechanism=cs.Linear())
            >>> rng = np.random.default_rng(0)
            >>> load = rng.normal(size=1200)
            >>> rows = pd.DataFrame({"load": load, "delay": 2 * load + rng.normal(size=1200)})
            >>> rows.loc[1000:, "delay"] += 3.0
            >>> audited = audit(
            ...     Chain.fit(rows[:300]), lambda r: 2 * r["load"], target="delay", inputs=["load"]
            ... )  # The rows from 300 on were not fitted: no folds are needed.
            >>> found = audited.monitor(rows[900:], normal=rows[300:900], folds=0)
            >>> [alarm.node for alarm in found.alarms]
            ['delay', 'error']
        """
        return watching(
            self.subject,
            rows,
            normal=normal,
            nodes=nodes,
            false_alarms=false_alarms,
            per=per,
            folds=folds,
            drift=drift,
            reset=reset,
            seed=seed,
        )

    def slices(
        self,
        rows: object,
        *,
        columns: Sequence[str] | None = None,
        methods: Sequence[str] = METHODS,
        most: int = 3,
        least: int | None = None,
        level: float = 0.05,
        top: int = 10,
        refit: bool | None = None,
        seed: int = 0,
    ) -> AuditedSlices:
        """Where the error is high, and which of these slices are causes of it.

        Slices are searched over the logged columns that the target does not cause, and over the
        latents, inferred from these: see `find_slices`. Then the causal step. Every row is given
        the slice's columns as some row in the slice has them, and as some row outside has them,
        while all that these columns do not cause is held. What they cause follows by the fitted
        model; the predictor reads that, and the error is computed anew. What is left of the
        slice's difference is caused by its columns; the rest comes along with them.

        The target is drawn by its fitted mechanism, if that has the slice's error; else the
        error's own mechanism is learned from these rows, if no latent is among the target's
        causes. Where neither can be, or the question is not identified, the verdict is "unknown".
        A column that only the predictor reads is a cause of its error as far as it misleads it.

        Args:
            rows: The rows on which the errors were seen, with the truth.
            columns: Which columns and latents; without it all that are known before the target.
            methods: Some of "lattice", "tree", "clusters".
            most: Most columns in a conjunction.
            least: Fewest rows of a slice; by default 20, or one in a hundred where that is more.
            level: The chance that any slice is named where none is worse than the rest.
            top: Most slices in the answer.
            refit: Whether the target's mechanism is fitted to these rows first; by default from
                200 rows on. A mechanism of normal rows may be wrong in the slice.
            seed: Fixes all draws.

        Raises:
            EvidenceError: There are too few rows, or the target is missing in some.
            DataError: The rows do not fit the model.
            UnknownNameError: A column is not in the rows, nor a latent.
            QueryError: An argument is outside what it can be.
            PredictorError: The predictor fails on rows, or on what they would have been.

        Example:
            The error rises with `heat`; `noise` is high when `heat` is, and nothing more.

            >>> import causalsys as cs, numpy as np, pandas as pd
            >>> from causalsys.audit.audit import audit
            >>> class Plant(cs.SCM):
            ...     heat = cs.Observed(cs.Real(), mechanism=cs.Linear())
            ...     noise = cs.Observed(cs.Real(), parents=[heat], mechanism=cs.Linear())
            ...     power = cs.Observed(cs.Real(), parents=[heat], mechanism=cs.Linear())
            >>> rng = np.random.default_rng(0)
            >>> heat = rng.normal(size=1500)
            >>> rows = pd.DataFrame({"heat": heat, "noise": heat + rng.normal(size=1500) / 2})
            >>> rows["power"] = heat + 5 * (heat > 1) + rng.normal(size=1500)
            >>> audited = audit(
            ...     Plant.fit(rows), lambda r: r["heat"], target="power", inputs=["heat"]
            ... )
            >>> found = audited.slices(rows)
            >>> {each.slice.columns for each in found.kept}
            {('heat',)}
            >>> {each.slice.columns for each in found.correlate}
            {('noise',)}
        """
        return slices(
            self.subject,
            rows,
            columns=columns,
            methods=methods,
            most=most,
            least=least,
            level=level,
            top=top,
            refit=refit,
            seed=seed,
        )


__all__ = ["Audit"]
