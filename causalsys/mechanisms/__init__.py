"""The families of mechanisms: each offers `log_prob`, `pull` and `push`."""

from causalsys.mechanisms.base import Mechanism, Sample
from causalsys.mechanisms.build import build
from causalsys.mechanisms.training import Training

__all__ = ["Mechanism", "Sample", "Training", "build"]
