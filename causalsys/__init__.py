"""Structural causal models of systems that run machine learning: declare, fit, ask."""

from typing import TYPE_CHECKING

from causalsys.audit.audit import audit
from causalsys.data.puffer import PufferLog, read_puffer
from causalsys.data.traces import Traces
from causalsys.detect.conformal import Calibrated
from causalsys.detect.density import unusual
from causalsys.detect.monitor import monitor
from causalsys.detect.objective import monitor_objective
from causalsys.detect.slices import find_slices
from causalsys.engine.base import Engine
from causalsys.engine.cores import Cores
from causalsys.engine.here import Here
from causalsys.fitted import FittedSCM, load
from causalsys.model import SCM
from causalsys.query.dimension import latent_dimension
from causalsys.query.intervention import under
from causalsys.query.policy import ahead, past, policy
from causalsys.query.suggest import suggest_graph
from causalsys.query.suggestion import Known
from causalsys.replace import rails
from causalsys.replace.compare import compare
from causalsys.replace.guarded import Guarded
from causalsys.replace.guarded_hold import Hold
from causalsys.replace.guarded_report import validate_guard
from causalsys.replace.replay import RetrainingRule, replay
from causalsys.replace.retrain import when_to_retrain
from causalsys.replace.retrain_rows import choose_rows
from causalsys.replace.shifts import Shift
from causalsys.rootcause.attribution import attribute_anomalies
from causalsys.rootcause.attribution_change import attribute_change
from causalsys.rootcause.drill import drill_down
from causalsys.rootcause.root_cause import root_cause
from causalsys.scm.equations import add_at, pick
from causalsys.scm.specs import (
    AutoRegressive,
    BoostedTrees,
    CountRegression,
    Custom,
    GumbelMax,
    HiddenMarkov,
    Linear,
    Logged,
    LowRank,
    Marginal,
    Measurement,
    Monotone,
    Multiplicative,
    NeuralAdditive,
    ProbabilityTable,
    Quadratic,
    SplineFlow,
    StandardNormal,
    auto,
)
from causalsys.scm.structure import Fifo, Structure
from causalsys.scm.supports import Boolean, Categorical, Count, Fraction, Positive, Real
from causalsys.scm.variables import (
    Arm,
    Decision,
    Latent,
    Observed,
    Selected,
    State,
    equation,
    transition,
)
from causalsys.simulate import policies
from causalsys.simulate.aggregate import Aggregates
from causalsys.simulate.batches import simulate_batches
from causalsys.simulate.diagnose import diagnose
from causalsys.simulate.fix import validate_fix
from causalsys.simulate.simulate import simulate
from causalsys.simulate.tune import tune
from causalsys.simulate.validate import validate

if TYPE_CHECKING:
    from causalsys.replace.predictor import CausalPredictor

__version__ = "0.1.0"
__all__ = [
    "SCM",
    "Aggregates",
    "Arm",
    "AutoRegressive",
    "Boolean",
    "BoostedTrees",
    "Calibrated",
    "Categorical",
    "CausalPredictor",
    "Cores",
    "Count",
    "CountRegression",
    "Custom",
    "Decision",
    "Engine",
    "Fifo",
    "FittedSCM",
    "Fraction",
    "Guarded",
    "GumbelMax",
    "Here",
    "HiddenMarkov",
    "Hold",
    "Known",
    "Latent",
    "Linear",
    "Logged",
    "LowRank",
    "Marginal",
    "Measurement",
    "Monotone",
    "Multiplicative",
    "NeuralAdditive",
    "Observed",
    "Positive",
    "ProbabilityTable",
    "PufferLog",
    "Quadratic",
    "Real",
    "RetrainingRule",
    "Selected",
    "Shift",
    "SplineFlow",
    "StandardNormal",
    "State",
    "Structure",
    "Traces",
    "add_at",
    "ahead",
    "attribute_anomalies",
    "attribute_change",
    "audit",
    "auto",
    "choose_rows",
    "compare",
    "diagnose",
    "drill_down",
    "equation",
    "find_slices",
    "latent_dimension",
    "load",
    "monitor",
    "monitor_objective",
    "past",
    "pick",
    "policies",
    "policy",
    "rails",
    "read_puffer",
    "replay",
    "root_cause",
    "simulate",
    "simulate_batches",
    "suggest_graph",
    "transition",
    "tune",
    "under",
    "unusual",
    "validate",
    "validate_fix",
    "validate_guard",
    "when_to_retrain",
]


def __getattr__(name: str) -> object:
    """Import the estimator when it is first asked for: scikit-learn alone takes a second."""
    if name == "CausalPredictor":
        from causalsys.replace.predictor import CausalPredictor

        return CausalPredictor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
