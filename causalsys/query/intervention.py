"""ACT: what `do` can set a variable to.

    a number, a level or a boolean     that value
    an array or a column               one value per row
    a function of named variables      any of the value's own name, its parents, and other
                                       variables that it does not cause: a shift, a policy
    a torch distribution               a draw for each sample and row
    `under({...})`                     the value it would have in another world: nesting

A function may return a torch distribution, and is then a random policy. Draws are the same in
every world of one question (common random numbers). In traces a function may look further than
this step, by the default values of its arguments: see `policy.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import singledispatch
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from causalsys.data.levels import coder
from causalsys.data.stepwise import check_course, taken
from causalsys.errors import InterventionError, OutsideSupportError, UnknownNameError, brief
from causalsys.query.policy import Look, Moment, label_of, looks_of
from causalsys.scm.evaluate import as_given, checked, first_outside
from causalsys.scm.structure import Structure
from causalsys.scm.supports import Categorical, Support

Do = Mapping[Any, Any]


@dataclass(frozen=True)
class Under:
    """The value a variable would have in another world; made by `under`."""

    do: Do


def under(do: Do) -> Under:
    """The value that a variable would have under `do`, for the same row: a nested counterfactual.

    Example:
        The part of an effect that does not go through `m` (Pearl, 2001: the natural direct
        effect) contrasts `do={"x": 1, "m": under({"x": 0})}` with `do={"x": 0}`.

        >>> under({"x": 0})
        Under(do={'x': 0})
    """
    return Under(do)


@dataclass(frozen=True)
class Situation:
    """What an intervention sees when it is applied.

    Attributes:
        name: The variable.
        support: Its support.
        shape: `(sample, row)` of the value that is wanted.
        value_of: Another variable's value, `[sample, row]`, by name.
        natural: The value it would take by itself.
        rows: Which rows these are, `[row]`.
        seed: Fixes random draws; the same in every world.
        moment: The step of traces that these rows are; None in a table.
    """

    name: str
    support: Support
    shape: tuple[int, int]
    value_of: Callable[[str], Tensor]
    natural: Callable[[], Tensor]
    rows: Tensor | slice
    seed: int
    moment: Moment | None = None


class Intervention(ABC):
    """Gives a variable's value in place of its mechanism."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The variables that it looks at."""
        return ()

    @property
    def reads_now(self) -> tuple[str, ...]:
        """Those of them at which it looks as they are in this step."""
        return self.reads

    @abstractmethod
    def apply(self, situation: Situation) -> Tensor:
        """The value, `[sample, row]` or broadcastable to it (vectors with one more axis)."""


@dataclass(frozen=True)
class Value(Intervention):
    """The same value in every sample: one for all rows, or one per row.

    Attributes:
        values: `[1, 1]` or `[sample or 1, row]`; vectors with one more axis.
    """

    values: Tensor

    def apply(self, situation: Situation) -> Tensor:
        return self.values if self.values.shape[1] == 1 else self.values[:, situation.rows]


@dataclass(frozen=True)
class Function(Intervention):
    """A function of named variables: a shift, a policy.

    Attributes:
        function: The user's function.
        looks: What its arguments ask for.
        supports: The supports of the variables that they are about, by name.
    """

    function: Callable[..., Any]
    looks: tuple[Look, ...]
    supports: Mapping[str, Support]

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(look.name for look in self.looks if look.when != "memory"))

    @property
    def reads_now(self) -> tuple[str, ...]:
        return tuple(look.name for look in self.looks if look.when == "now")

    def apply(self, situation: Situation) -> Tensor:
        placed: list[Any] = []
        named: dict[str, Any] = {}
        for look in self.looks:
            value = self._seen(look, situation)
            if look.positional:
                placed.append(value)
            else:
                named[look.argument] = value
        try:
            result = self.function(*placed, **named)
        except Exception as error:
            raise InterventionError(
                situation.name,
                found=f"its function {label_of(self.function)} failed ({brief(error)})",
                mend="It is called with tensors shaped [..., row]; vectors have one more axis.",
            ) from error
        if any(look.when == "memory" for look in self.looks):
            result = self._remembered(result, situation)
        if isinstance(result, Distribution):
            return Draw(result).apply(situation)
        return _taken(result, situation)

    def _seen(self, look: Look, situation: Situation) -> Any:
        """What an argument is given."""
        moment = situation.moment
        if look.when == "now":
            own = look.name == situation.name
            value = situation.natural() if own else situation.value_of(look.name)
            return as_given(value, self.supports[look.name])
        if moment is None:
            raise InterventionError(
                situation.name,
                found=f"a policy with {look.argument}={look.when}, of rows that do not follow "
                "each other",
                mend="Ask a model that has states or lags, or drop the argument.",
            )
        if look.when == "memory":
            return moment.recall()
        look_at = moment.past if look.when == "past" else moment.ahead
        return as_given(look_at(look.name, look.steps), self.supports[look.name])

    def _remembered(self, result: Any, situation: Situation) -> Any:
        """The decision of a policy that returns a memory with it."""
        if not isinstance(result, tuple) or len(result) != 2:
            raise InterventionError(
                situation.name,
                found=f"a {type(result).__name__} from a policy with a memory",
                mend="Return both: the decision, and the memory for the next step.",
            )
        assert situation.moment is not None
        situation.moment.keep(result[1])
        return result[0]


@dataclass(frozen=True)
class Draw(Intervention):
    """A draw from a distribution for each sample and row."""

    distribution: Distribution

    def apply(self, situation: Situation) -> Tensor:
        wanted = (*situation.shape, *([situation.support.size] if situation.support.size else []))
        shape = tuple(self.distribution.batch_shape) + tuple(self.distribution.event_shape)
        if situation.moment is not None:
            alike = zip(shape[::-1], wanted[::-1], strict=False)
            if len(shape) > len(wanted) or any(one not in (1, other) for one, other in alike):
                raise InterventionError(
                    situation.name,
                    found=f"a distribution of shape {list(shape)} where {list(wanted)} was wanted",
                    mend="Return one distribution per row, with the same leading axes as the "
                    "arguments.",
                )
            return _taken(situation.moment.draw(self.distribution), situation)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(situation.seed)
            extra = wanted[: len(wanted) - len(shape)]
            draws = self.distribution.sample(torch.Size(extra))
        return _taken(draws, situation)


def _taken(result: object, situation: Situation) -> Tensor:
    """What a function or a distribution gave, as values of the variable's support.

    In traces, what is of the right kind and shape is looked into only later, many steps at once.
    """
    if situation.moment is not None:
        return _taken_at(situation.moment, result, situation)
    value = checked(
        result,
        name=situation.name,
        support=situation.support,
        shape=torch.Size(situation.shape),
        refusal=InterventionError,
    )
    _inside(value, situation.name, situation.support)
    return value


def _taken_at(moment: Moment, result: object, situation: Situation) -> Tensor:
    """What a policy gave in a step: numbers as they are, codes once they are known to be levels.

    Whoever is handed a code picks by it, and could pick what was not meant.
    """
    name, support = situation.name, situation.support
    shape, categorical = situation.shape, isinstance(support, Categorical)
    if categorical and isinstance(result, Tensor) and result.is_floating_point():
        _check_levels(result, name, support, moment)
    value = taken(result, name=name, support=support, shape=shape, refusal=InterventionError)
    if categorical:
        _check_levels(value, name, support, moment)
    return value


def _check_levels(value: Tensor, name: str, support: Support, moment: Moment) -> None:
    check_course(
        name,
        [value],
        support,
        told=lambda _, trace: moment.told(trace),
        refusal=InterventionError,
    )


@singledispatch
def as_intervention(
    given: Any, *, name: str, support: Support, rows: int, supports: Mapping[str, Support]
) -> Intervention:
    """What a user gave for `name` in `do`, checked.

    Args:
        given: See the module.
        name: The variable.
        support: Its support.
        rows: How many rows there are.
        supports: All variables' supports, for the arguments of functions.

    Raises:
        InterventionError: It cannot be used, or has the wrong shape.
        OutsideSupportError: A value is not in the support.
        UnknownNameError: A function's argument is no variable.
    """
    if callable(given):
        return _function(given, name=name, supports=supports)
    return _value(given, name=name, support=support, rows=rows)


@as_intervention.register
def _(
    given: Distribution, *, name: str, support: Support, rows: int, supports: Mapping[str, Support]
) -> Intervention:
    return Draw(given)


@as_intervention.register
def _(
    given: Intervention, *, name: str, support: Support, rows: int, supports: Mapping[str, Support]
) -> Intervention:
    return given


def _function(
    function: Callable[..., Any], *, name: str, supports: Mapping[str, Support]
) -> Intervention:
    looks = looks_of(function, name)
    for look in looks:
        if look.when != "memory" and look.name not in supports:
            raise UnknownNameError.among(
                look.name, supports, where=f"the model, read by do({name})"
            )
        if look.when != "memory" and isinstance(supports[look.name], Structure):
            raise InterventionError(
                name,
                found=f"a policy that reads {look.name}, which is no number but a structure",
                mend="Let it read an equation of it.",
            )
    read = {look.name: supports[look.name] for look in looks if look.when != "memory"}
    return Function(function, looks, read)


def _value(given: Any, *, name: str, support: Support, rows: int) -> Intervention:
    raw = _array(given, name)
    numbers = _codes(raw, name, support) if isinstance(support, Categorical) else _floats(raw, name)
    size = support.size
    allowed = [(), (1,), (rows,)] if size is None else [(size,), (1, size), (rows, size)]
    if numbers.shape not in allowed:
        shown = " or ".join(str(list(shape)) for shape in dict.fromkeys(allowed))
        raise InterventionError(
            name,
            found=f"an array of shape {list(numbers.shape)}",
            mend=f"Give one value, or one per row: shape {shown}.",
        )
    tensor = torch.from_numpy(np.array(numbers))
    if isinstance(support, Categorical):
        tensor = tensor.long()
    own = 0 if size is None else 1
    while tensor.dim() < 2 + own:
        tensor = tensor.unsqueeze(0)
    _inside(tensor, name, support)
    return Value(tensor)


def _array(given: Any, name: str) -> np.ndarray[Any, Any]:
    """What was given, as an array."""
    import pandas as pd

    try:
        if isinstance(given, Tensor):
            return given.detach().cpu().numpy()
        return np.asarray(given.to_numpy() if isinstance(given, pd.Series) else given)
    except (TypeError, ValueError):
        raise InterventionError(
            name,
            found=f"{_shown(given)}, whose parts differ in length",
            mend="Give one value, or one per row.",
        ) from None


def _floats(raw: np.ndarray[Any, Any], name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    # Text is not read as numbers, and an imaginary part is not dropped.
    real = raw.dtype.kind in "biuf" or all(isinstance(value, Real) for value in raw.ravel())
    numbers = raw.astype(np.float64) if real else np.array(np.nan)
    if not np.isfinite(numbers).all():
        raise InterventionError(
            name,
            found=f"{_shown(raw.tolist())}, which is not a finite number",
            mend="Give a number, an array of them, a function, or a torch distribution.",
        )
    return numbers


def _codes(
    raw: np.ndarray[Any, Any], name: str, support: Categorical
) -> np.ndarray[Any, np.dtype[np.float64]]:
    code = coder(support)
    codes = np.array([code(value) for value in raw.ravel()], dtype=np.float64).reshape(raw.shape)
    if (codes < 0).any():
        raise OutsideSupportError(
            name,
            found=f"do({name}={_shown(raw[codes < 0].tolist()[0])}), which is no level",
            mend=f"Known levels: {', '.join(map(str, (support.levels or ())[:12]))}.",
        )
    return codes


def _inside(value: Tensor, name: str, support: Support) -> None:
    if (wrong := first_outside(value, support)) is not None:
        raise OutsideSupportError(
            name,
            found=f"do({name}) gives {wrong:g}, outside {support}",
            mend="Clip it to the support.",
        )


def _shown(given: object) -> str:
    text = " ".join(repr(given).split())
    return text if len(text) < 60 else f"{text[:57]}..."
