"""What users get wrong, and what they are told: the variable, what was found, what to do.

Each table below is one kind of mistake; every line of it is one case of the one test at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from torch.distributions import Categorical, Exponential, Normal

import causalsys as cs
from causalsys.errors import (
    CausalSysError,
    DataError,
    EvidenceError,
    FitError,
    InterventionError,
    MissingColumnError,
    OutsideSupportError,
    QueryError,
    SavedModelError,
    UnknownNameError,
)
from causalsys.fit import archive

ROWS = 40
INTERNALS = ("Traceback", "tensor(", "KeyError", "IndexError", "dtype", "torch.", "pandas.")


class Shop(cs.SCM):
    load = cs.Observed(cs.Positive("req/s"))
    region = cs.Observed(cs.Categorical(["eu", "us"]))
    retries = cs.Observed(cs.Count())
    hits = cs.Observed(cs.Fraction())
    cached = cs.Decision(cs.Boolean(), parents=[load])
    latency = cs.Observed(
        cs.Positive("ms"), parents=[load, cached], mechanism=cs.Linear(link="log")
    )
    speeds = cs.Observed(cs.Real(size=2), mechanism=cs.Linear())

    @cs.equation(cs.Positive("ms"))
    def total(latency, load):
        return latency + load


class Hidden(cs.SCM):
    u = cs.Latent(cs.Real())
    x = cs.Observed(cs.Real(), parents=[u], mechanism=cs.Linear())
    y = cs.Observed(cs.Real(), parents=[u, x], mechanism=cs.Linear())


class Queue(cs.SCM):
    work = cs.Observed(cs.Positive("ms"))
    queue = cs.State(cs.Positive("ms"), initial=0.0)
    served = cs.Decision(cs.Boolean(), parents=[queue])

    @cs.transition(queue)
    def drain(queue, work, served):
        return (queue + work - 2.0 * served).clamp(min=0)


class Armed(cs.SCM):
    served = cs.Arm()
    work = cs.Observed(cs.Positive(), parents=[served], mechanism=cs.Linear(link="log"))


class Regions(cs.SCM):
    region = cs.Observed(cs.Categorical())


def computed(function: Callable[..., Any], support: cs.Real | cs.Positive | None = None) -> Any:
    """A model of `x` and of `z`, computed from it."""
    x = cs.Observed(cs.Real(), mechanism=cs.Linear())
    z = cs.equation(support or cs.Real())(function)
    return cs.SCM.from_graph([("x", "z")], name="Computed", variables={"x": x, "z": z})


def below_zero() -> Any:
    """A model whose equation leaves its support where `x` is below 9."""
    return computed(lambda x: x - 9, cs.Positive())


def shop(**changes: Any) -> pd.DataFrame:
    """Good rows, with these columns changed; a column that is None is dropped."""
    rng = np.random.default_rng(0)
    load = rng.exponential(2.0, ROWS)
    cached = rng.random(ROWS) < 0.5
    columns = {
        "load": load,
        "region": rng.choice(["eu", "us"], ROWS),
        "retries": rng.poisson(2.0, ROWS),
        "hits": rng.random(ROWS),
        "cached": cached,
        "latency": np.exp(0.1 * load - cached + 0.1 * rng.normal(size=ROWS)),
        "speeds_0": rng.normal(size=ROWS),
        "speeds_1": rng.normal(size=ROWS),
    }
    return pd.DataFrame({k: v for k, v in (columns | changes).items() if v is not None})


def cell(name: str, value: Any) -> pd.DataFrame:
    """Good rows, but for one cell in row 3."""
    column = shop()[name].astype(object)
    column[3] = value
    return shop(**{name: column})


def traces(**changes: Any) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    columns = {
        "trace": np.repeat(["a", "b", "c", "d"], 10),
        "step": np.tile(np.arange(10), 4),
        "work": rng.exponential(1.0, ROWS),
        "served": rng.random(ROWS) < 0.5,
    }
    return pd.DataFrame({k: v for k, v in (columns | changes).items() if v is not None})


def gap() -> cs.Traces:
    return cs.Traces(traces(work=[np.nan, *traces()["work"][1:]]))


def xy(rows: int = ROWS) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    u = rng.normal(size=rows)
    x = u + rng.normal(size=rows)
    return pd.DataFrame({"x": x, "y": x + u + rng.normal(size=rows)})


@dataclass(frozen=True)
class World:
    """What the cases are about."""

    shop: cs.FittedSCM
    hidden: cs.FittedSCM
    queue: cs.FittedSCM
    folder: Path

    def ask(self, **question: Any) -> Any:
        return self.shop.counterfactual(shop(), **question)

    def do(self, **do: Any) -> Any:
        return self.ask(do=do)

    def refit(self, data: pd.DataFrame | None = None, **how: Any) -> object:
        return self.shop.refit(shop() if data is None else data, **how)

    def saved(self) -> Path:
        path = self.folder / "model.cs"
        self.hidden.save(path)
        return path

    def altered(self, change: Callable[[bytes], bytes]) -> object:
        path = self.saved()
        path.write_bytes(change(path.read_bytes()))
        return cs.load(path)

    def crafted(self, **content: Any) -> object:
        """Load a file of our format, whose digest holds, with this content."""
        path = self.folder / "crafted.cs"
        whole = {"origin": "", "name": "x", "fingerprint": "", "doc": "", "nodes": []}
        whole["code"] = "origin" in content
        archive.write(path, {"t": torch.zeros(1)}, content=whole | content)
        return cs.load(path)

    def foreign(self, **metadata: str) -> object:
        path = self.folder / "foreign.cs"
        save_file({"t": torch.zeros(1)}, path, metadata=metadata)
        return cs.load(path)

    def file(self, content: bytes) -> Path:
        path = self.folder / "file.cs"
        path.write_bytes(content)
        return path

    def other_checkpoint(self) -> object:
        """A fit that fails after its first blocks, then one of other data on its checkpoint."""
        point = self.folder / "point.cs"
        with pytest.raises(FitError):
            Shop.fit(shop()[:3], checkpoint=point)
        assert point.exists()
        return Shop.fit(shop(), checkpoint=point)


@dataclass(frozen=True)
class Case:
    """A mistake.

    Attributes:
        act: Makes it.
        error: The exception that it must raise.
        about: The variable, argument or file that the exception must name.
        says: What else the message must contain.
    """

    act: Callable[[World], object]
    error: type[CausalSysError]
    about: str
    says: str = ""


DATA: list[tuple[Any, type[CausalSysError], str, str]] = [
    (3, DataError, "data", "int"),
    (None, DataError, "data", "None"),
    (np.zeros((3, 3)), DataError, "data", "ndarray"),
    ([1, 2], DataError, "data", "list"),
    (shop()["load"], DataError, "data", "Series"),
    (shop()[:0], DataError, "data", "no rows"),
    ({}, MissingColumnError, "hits", "no column"),
    (shop()[:1], FitError, "hits", "1 row"),
    (shop(load=None, laod=[1.0] * ROWS), MissingColumnError, "load", "Did you mean 'laod'?"),
    (shop(speeds_1=None), MissingColumnError, "speeds", "speeds_1"),
    (pd.DataFrame(np.zeros((3, 3))), MissingColumnError, "hits", "Columns: 0, 1, 2"),
    (pd.concat([shop(), shop()[["load"]]], axis=1), DataError, "load", "two columns"),
    (pd.concat([shop(), shop()]), DataError, "data", "reset_index"),
    ({**shop(), "load": [1.0]}, DataError, "data", "length"),
    ({**shop(), "load": shop()["load"][::-1]}, DataError, "data", "different labels"),
    (shop(load=shop()["load"].astype(str)), DataError, "load", "not a number"),
    (shop(load=pd.date_range("2024", periods=ROWS)), DataError, "load", "not a number"),
    (shop(load=shop()["load"] * 1j), DataError, "load", "not a number"),
    (shop(load=np.full(ROWS, np.nan)), FitError, "load", "known"),
    (shop(total=np.ones(ROWS)), DataError, "total", "equation"),
    (cell("load", np.nan).assign(total=1.0), DataError, "total", "parents"),
    ("no.parquet", DataError, "data", "no.parquet"),
]

CELLS: list[tuple[str, Any, type[CausalSysError], str]] = [
    ("load", "fast", DataError, "'fast' in row 3"),
    ("load", "3.5", DataError, "'3.5' in row 3"),
    ("load", [1.0, 2.0], DataError, "row 3"),
    ("load", pd.Timestamp("2024"), DataError, "row 3"),
    ("load", np.inf, DataError, "infinite value in row 3"),
    ("speeds_0", -np.inf, DataError, "infinite value in row 3"),
    ("load", -1.0, OutsideSupportError, "-1 in row 3"),
    ("hits", 1.2, OutsideSupportError, "1.2 in row 3"),
    ("retries", 1.5, OutsideSupportError, "1.5 in row 3"),
    ("retries", -1, OutsideSupportError, "-1 in row 3"),
    ("region", "asia", OutsideSupportError, "Known levels: eu, us"),
    ("region", ["eu"], OutsideSupportError, "['eu'] in row 3"),
    ("region", 0, OutsideSupportError, "the level 0"),
    ("cached", 2, OutsideSupportError, "the level 2"),
    ("cached", "yes", OutsideSupportError, "Known levels: False, True"),
]

LEVELS: list[tuple[Any, type[CausalSysError], str]] = [
    (["eu"] * 5, DataError, "1 level"),
    ([None] * 5, DataError, "0 level"),
    (["1", 1], DataError, "levels"),
    ([b"eu", b"us"], DataError, "bytes"),
    ([["eu"], ["us"]], DataError, "list"),
    ([np.inf, 1.0], DataError, "float"),
]

LATENT: list[tuple[Any, type[CausalSysError], str, str]] = [
    (xy().assign(u=0.0), DataError, "u", "latent"),
    (xy(1), FitError, "x", "1 row"),
    (xy(9), FitError, "x", "9 rows"),
    (xy().assign(x=1.0), FitError, "x", "constant"),
    (xy().assign(x=-np.inf), DataError, "x", "infinite"),
]

COMPUTED: list[tuple[Callable[..., Any], type[CausalSysError], str]] = [
    (lambda x: torch.sqrt(x), DataError, "NaN"),
    (lambda x: x.nope, DataError, "nope"),
    (lambda x: 1 // 0, DataError, "zero"),
    (lambda x: {}["a"], DataError, "failed"),
    (lambda x: torch.zeros(7), DataError, "[7]"),
    (lambda x: "text", DataError, "str"),
    (lambda x: None, DataError, "NoneType"),
    (lambda x: x * 1j, DataError, "numbers"),
    (lambda x: x / 0, OutsideSupportError, "inf"),
]

TRACES: list[tuple[Any, dict[str, Any], type[CausalSysError], str, str]] = [
    ([1], {}, DataError, "traces", "list"),
    (traces(trace=None), {}, MissingColumnError, "trace", "no column"),
    (traces(), {"step": "stop"}, MissingColumnError, "stop", "Did you mean 'step'?"),
    (traces(), {"step": "trace"}, DataError, "trace", "one column"),
    (traces().drop(index=4), {}, DataError, "step", "step 5 of trace 'a'"),
    (pd.concat([traces(), traces()[:1]]), {}, DataError, "step", "trace 'a'"),
    (traces(step=np.arange(ROWS) / 2), {}, DataError, "step", "whole"),
    (traces(step=["1"] * ROWS), {}, DataError, "step", "whole"),
    (traces(step=np.full(ROWS, np.nan)), {}, DataError, "step", "missing"),
    (traces(trace=[None, *["a"] * (ROWS - 1)]), {}, DataError, "trace", "missing"),
    (traces(trace=pd.Series([1, "b"] * 20, dtype=object)), {}, DataError, "trace", "int, str"),
    (pd.concat([traces(), traces()[["trace"]]], axis=1), {}, DataError, "trace", "two columns"),
]

WEIGHTS: list[tuple[Any, type[CausalSysError], str, str]] = [
    (np.ones(3), DataError, "weight", "shape (3,)"),
    (np.ones((ROWS, 1)), DataError, "weight", "shape"),
    (-np.ones(ROWS), DataError, "weight", "negative"),
    (np.zeros(ROWS), DataError, "weight", "zero"),
    (np.full(ROWS, np.nan), DataError, "weight", "finite"),
    (["a"] * ROWS, DataError, "weight", "number"),
    ("hitz", MissingColumnError, "hitz", "Did you mean 'hits'?"),
    ("region", DataError, "region", "number"),
]

OPTIONS: list[tuple[str, Any, str]] = [
    ("seed", -1, "-1"),
    ("seed", 0.5, "0.5"),
    ("seed", None, "None"),
    ("ensemble", 0, "at least 1"),
    ("ensemble", True, "True"),
    ("steps", "x", "'x'"),
    ("steps", 0, "at least 1"),
    ("device", "tpu", "'tpu'"),
    ("device", "cpu0", "'cpu0'"),
    ("device", 0, "0"),
    ("missing", "ignore", "'ignore'"),
    ("missing", None, "None"),
]
if not torch.cuda.is_available():
    OPTIONS.append(("device", "cuda", "no CUDA device"))

EVIDENCE: list[tuple[Any, type[CausalSysError], str, str]] = [
    (7, DataError, "evidence", "int"),
    (shop()[:0], DataError, "evidence", "no rows"),
    ({"load": "a"}, DataError, "load", "'a'"),
    ({"load": -3.0}, OutsideSupportError, "load", "-3"),
    ({"load": 1.0, "laod": 1.0}, UnknownNameError, "laod", "Did you mean load?"),
    ({"region": "asia"}, OutsideSupportError, "region", "Known levels"),
    (shop(total=np.full(ROWS, 5.0)), EvidenceError, "total", "equation"),
    ({"total": 5.0, "latency": 1.0}, EvidenceError, "total", "Give load"),
    ({"speeds_0": 5.0}, MissingColumnError, "speeds", "speeds_1"),
    ({"load": np.zeros((2, 2))}, DataError, "evidence", "one length"),
]

DO: list[tuple[str, Any, type[CausalSysError], str]] = [
    ("laod", 1.0, UnknownNameError, "Did you mean load?"),
    ("load", np.ones((ROWS, 2)), InterventionError, "[40, 2]"),
    ("load", np.ones(3), InterventionError, "shape [3]"),
    ("load", [1.0, 2.0], InterventionError, "shape [2]"),
    ("speeds", 1.0, InterventionError, "[2]"),
    ("speeds", np.ones((ROWS, 3)), InterventionError, "[40, 3]"),
    ("load", [[1.0], [1.0, 2.0]], InterventionError, "differ in length"),
    ("load", np.nan, InterventionError, "finite"),
    ("load", np.inf, InterventionError, "finite"),
    ("load", [np.nan] * ROWS, InterventionError, "finite"),
    ("load", None, InterventionError, "None"),
    ("load", "high", InterventionError, "'high'"),
    ("load", "3", InterventionError, "'3'"),
    ("load", {"a": 1}, InterventionError, "'a'"),
    ("load", 1j, InterventionError, "finite number"),
    ("load", pd.Series(np.ones(ROWS), index=range(5, ROWS + 5)), InterventionError, "labels"),
    ("load", -1.0, OutsideSupportError, "-1"),
    ("hits", 1.2, OutsideSupportError, "1.2"),
    ("retries", 0.5, OutsideSupportError, "0.5"),
    ("total", -2.0, OutsideSupportError, "-2"),
    ("region", "asia", OutsideSupportError, "Known levels: eu, us"),
    ("region", np.nan, OutsideSupportError, "no level"),
    ("region", np.inf, OutsideSupportError, "no level"),
    ("region", None, OutsideSupportError, "no level"),
    ("region", ["eu", "us"], InterventionError, "shape [2]"),
    ("region", [["eu"], ["us", "eu"]], InterventionError, "differ in length"),
    ("cached", 7, OutsideSupportError, "7"),
    ("load", cs.under(3), InterventionError, "int"),
    ("load", cs.under({"laod": 3}), UnknownNameError, "Did you mean load?"),
    ("load", Normal(torch.zeros(3), 1.0), InterventionError, "3]"),
    ("load", Exponential(torch.ones(2, 3, 4)), InterventionError, "[128, 2, 3, 4]"),
    ("load", Normal(-5.0, 1.0), OutsideSupportError, "gives -"),
    ("region", Categorical(torch.ones(5)), OutsideSupportError, "0 to 1"),
]


class _OwnError(Exception):
    pass


def _raises(load: torch.Tensor) -> torch.Tensor:
    raise _OwnError("out of order")


def _squeezed(load: torch.Tensor) -> torch.Tensor:
    return load / 100


def _asserts(load: torch.Tensor) -> torch.Tensor:
    raise AssertionError


POLICIES: list[tuple[str, Callable[..., Any], type[CausalSysError], str]] = [
    ("load", lambda laod: laod, UnknownNameError, "Did you mean load?"),
    ("load", lambda *load: 1.0, InterventionError, "*load"),
    ("load", lambda **load: 1.0, InterventionError, "*load"),
    ("load", min, InterventionError, "arguments cannot be read"),
    ("load", lambda load: torch.zeros(3), InterventionError, "[3]"),
    ("load", lambda load: load.unsqueeze(0), InterventionError, "[1, 128, 40]"),
    ("load", lambda load: load * np.nan, InterventionError, "NaN"),
    ("load", lambda load: load / 0, OutsideSupportError, "inf"),
    ("load", lambda load: None, InterventionError, "NoneType"),
    ("load", lambda load: "high", InterventionError, "str"),
    ("load", lambda load: load.nope, InterventionError, "nope"),
    ("load", _raises, InterventionError, "out of order"),
    ("load", _asserts, InterventionError, "AssertionError"),
    ("load", lambda load: -load, OutsideSupportError, "gives -"),
    ("region", lambda load: load * 0 + 5, OutsideSupportError, "5"),
    ("region", lambda load: load * 0 + 0.5, OutsideSupportError, "0.5"),
    ("region", lambda load: load * np.nan, InterventionError, "NaN"),
    ("region", lambda load: "eu", InterventionError, "a level's place"),
    ("load", lambda latency: latency, InterventionError, "reads what it causes"),
    ("load", lambda total: total, InterventionError, "latency"),
]

GIVEN: list[tuple[Any, type[CausalSysError], str, str]] = [
    (3, QueryError, "given", "int"),
    ({"laod": 1.0}, UnknownNameError, "laod", "Did you mean load?"),
    ({"latency": 1.0}, QueryError, "latency", "do(load)"),
    ({"total": 1.0}, QueryError, "total", "do(load)"),
    ({"load": 1.0}, QueryError, "load", "do(load)"),
    ({"hits": "a"}, DataError, "hits", "'a'"),
    ({"hits": [0.1, 0.2]}, QueryError, "hits", "1 known"),
    ({"speeds": 1.0}, QueryError, "speeds", "2 known"),
    ({"hits": np.nan}, QueryError, "hits", "nan"),
    ({"hits": 1.2}, OutsideSupportError, "hits", "1.2"),
    ({"region": "asia"}, OutsideSupportError, "region", "Known levels"),
]

COUNTS: list[tuple[str, Any]] = [
    ("rows", -1),
    ("rows", 0),
    ("rows", "a"),
    ("rows", 2.5),
    ("samples", 0),
    ("samples", "a"),
    ("steps", 0),
    ("steps", 2),
    ("seed", -1),
    ("seed", None),
]

ANSWERS: list[tuple[Callable[[Any], object], type[CausalSysError], str, str]] = [
    (lambda a: a.mean("latencie"), UnknownNameError, "latencie", "Did you mean latency?"),
    (lambda a: a.interval("laod"), UnknownNameError, "laod", "Did you mean load?"),
    (lambda a: a.average("laod"), UnknownNameError, "laod", "Did you mean load?"),
    (lambda a: a.draws("laod"), UnknownNameError, "laod", "Did you mean load?"),
    (lambda a: a.observed("laod"), UnknownNameError, "laod", "Did you mean load?"),
    (lambda a: a.contrast("laod"), UnknownNameError, "laod", "Did you mean load?"),
    (lambda a: a.probability("laod"), UnknownNameError, "laod", "Did you mean load?"),
    (lambda a: a.plot("laod"), UnknownNameError, "laod", "Did you mean load?"),
    (lambda a: a.mean("region"), QueryError, "region", "probability"),
    (lambda a: a.interval("region"), QueryError, "region", "probability"),
    (lambda a: a.contrast("region"), QueryError, "region", "probability"),
    (lambda a: a.plot("region"), QueryError, "region", "probability"),
    (lambda a: a.probability("load"), QueryError, "load", "mean"),
    (lambda a: a.interval("load", 1.5), QueryError, "level", "1.5"),
    (lambda a: a.interval("load", "a"), QueryError, "level", "'a'"),
    (lambda a: a.average("load", np.nan), QueryError, "level", "nan"),
    (lambda a: a.to_frame(0), QueryError, "level", "0"),
    (lambda a: a.mean("load", world=7), QueryError, "world", "7"),
    (lambda a: a.mean("load", world="a"), QueryError, "world", "'a'"),
    (lambda a: a.mean("load", world=0.5), QueryError, "world", "0.5"),
    (lambda a: a.contrast("load", against=3), QueryError, "world", "3"),
]

Act = Callable[[World], object]
FITS: list[tuple[Act, type[CausalSysError], str, str]] = [
    (lambda w: Regions.fit({"regoin": ["eu", "us"]}), MissingColumnError, "region", "'regoin'?"),
    (lambda w: Shop.fit(cell("load", np.nan), missing="error"), DataError, "load", "row 3"),
    (lambda w: Queue.fit(traces(trace=None)), DataError, "data", "cs.Traces"),
    (lambda w: Armed.fit(cs.Traces(traces())), DataError, "served", "row 1"),
    (lambda w: Queue.fit(gap()), DataError, "work", "every step"),
    (lambda w: Queue.fit(cs.Traces(traces()[:0])), DataError, "data", "no rows"),
    (lambda w: Shop.fit(w.folder), DataError, "data", "no file"),
    (lambda w: Shop.fit(w.file(b"a,b\n1,2\n")), DataError, "data", "file.cs"),
    (lambda w: Shop.fit(w.file(b"")), DataError, "data", "file.cs"),
    (lambda w: below_zero().fit({"x": [1.0, 2.0]}), OutsideSupportError, "z", "-8"),
    (lambda w: w.shop.log_prob(cell("load", np.nan)), EvidenceError, "load", "missing"),
    (lambda w: w.shop.log_prob(shop(load=None)), MissingColumnError, "load", "no column"),
    (lambda w: w.shop.check(shop(), level=2), QueryError, "level", "2"),
    (lambda w: w.shop.check(shop(), level="a"), QueryError, "level", "'a'"),
    (lambda w: w.shop.mechanism("laod"), UnknownNameError, "laod", "Did you mean load?"),
    (lambda w: w.shop.mechanism("total"), UnknownNameError, "total", "declared"),
    (lambda w: w.refit(only=["laod"]), UnknownNameError, "laod", "Did you mean load?"),
    (lambda w: w.refit(only=["total"]), FitError, "total", "declared"),
    (lambda w: w.refit(only=[]), FitError, "only", "[]"),
    (lambda w: w.refit(only="load"), FitError, "only", "only=['load']"),
    (lambda w: w.refit(only=["load"], seed=-1), FitError, "seed", "-1"),
    (lambda w: w.refit(cell("hits", 7), only=["load"]), OutsideSupportError, "hits", "7"),
]

QUESTIONS: list[tuple[Act, type[CausalSysError], str, str]] = [
    (lambda w: w.ask(do=[]), InterventionError, "do", "no worlds"),
    (lambda w: w.ask(do=3), InterventionError, "do", "int"),
    (lambda w: w.ask(do="load"), InterventionError, "do", "mapping"),
    (lambda w: w.ask(do=[{}, None]), InterventionError, "do", "NoneType"),
    (lambda w: w.ask(do={3: 1.0}), UnknownNameError, "3", "no such name"),
    (lambda w: w.ask(do={"load": 1.0, Shop.load: 2.0}), InterventionError, "load", "twice"),
    (lambda w: w.ask(do={Hidden.x: 2.0}), UnknownNameError, "x", "Shop"),
    (lambda w: w.do(load=lambda hits: hits, hits=_squeezed), InterventionError, "hits", "load"),
    (lambda w: w.ask(do={}, samples=0.5), QueryError, "samples", "0.5"),
    (lambda w: w.ask(do={}, samples=0), QueryError, "samples", "0"),
    (lambda w: w.ask(do={}, seed="a"), QueryError, "seed", "'a'"),
    (lambda w: w.ask(do={}, redraw="load"), QueryError, "redraw", "redraw=['load']"),
    (lambda w: w.ask(do={}, redraw=["laod"]), UnknownNameError, "laod", "Did you mean load?"),
    (lambda w: w.shop.sample(5, do=[]), InterventionError, "do", "no worlds"),
    (lambda w: w.shop.sample(5, do=3), InterventionError, "do", "int"),
    (lambda w: w.shop.sample(5).observed("load"), QueryError, "load", "drawn"),
    (lambda w: w.shop.sample(5).contrast("load"), QueryError, "load", "world=1, against=0"),
    (lambda w: w.shop.sample(5, do=[{}, {}]).mean("load"), QueryError, "world", "2 worlds"),
    (lambda w: w.hidden.sample(5, given={"u": 1.0}), EvidenceError, "u", "latent"),
    (lambda w: w.hidden.counterfactual({"u": 1.0}, do={}), EvidenceError, "u", "latent"),
    (lambda w: w.hidden.counterfactual(xy(), do={"u": np.ones(3)}), InterventionError, "u", "[3]"),
    (
        lambda w: w.queue.counterfactual(traces(step=None), do={}),
        DataError,
        "evidence",
        "cs.Traces",
    ),
    (lambda w: w.queue.counterfactual(gap(), do={"served": True}), EvidenceError, "work", "every"),
    (lambda w: w.queue.sample(5, steps=0), QueryError, "steps", "0"),
    (lambda w: w.queue.sample(5, steps=3, given={"work": 1.0}), QueryError, "given", "traces"),
]

FILES: list[tuple[Act, str, str]] = [
    (lambda w: w.hidden.save(w.folder / "no" / "m.cs"), "m.cs", "cannot be written"),
    (lambda w: w.hidden.save(w.folder), ".", "cannot be written"),
    (lambda w: w.hidden.save(3), "path", "int"),
    (lambda w: cs.load(3), "path", "int"),
    (lambda w: cs.load(w.folder / "m.cs"), "m.cs", "no such file"),
    (lambda w: cs.load(w.folder), ".", "no such file"),
    (lambda w: cs.load(w.file(b"not a model, but text\n" * 9)), "file.cs", "no saved model"),
    (lambda w: w.altered(lambda raw: raw[: len(raw) // 2]), "model.cs", "cut short"),
    (lambda w: w.altered(lambda raw: raw[:5]), "model.cs", "cut short"),
    (lambda w: w.altered(lambda raw: b""), "model.cs", "cut short"),
    (lambda w: w.altered(lambda raw: raw[:-9] + b"altered!!"), "model.cs", "altered"),
    (lambda w: w.altered(lambda raw: raw.replace(b"normal", b"Normal")), "model.cs", "altered"),
    (lambda w: w.foreign(causalsys='{"format": 99}'), "foreign.cs", "newer"),
    (lambda w: w.foreign(), "foreign.cs", "no causalsys model"),
    (lambda w: w.foreign(format="pt"), "foreign.cs", "no causalsys model"),
    (lambda w: w.foreign(causalsys="[1]"), "foreign.cs", "no causalsys model"),
    (lambda w: w.foreign(causalsys="{"), "foreign.cs", "no causalsys model"),
    (lambda w: w.foreign(causalsys='{"format": 1}'), "foreign.cs", "digest"),
    (lambda w: w.crafted(), "crafted.cs", "has changed"),
    (lambda w: w.crafted(nodes=[{}]), "crafted.cs", "no saved model"),
    (lambda w: w.crafted(origin=3), "crafted.cs", "no saved model"),
    (lambda w: w.crafted(origin="json:loads"), "crafted.cs", "no model"),
    (lambda w: w.crafted(origin="nowhere_at_all:Model"), "crafted.cs", "cannot be imported"),
    (lambda w: cs.load(w.saved(), model=Shop), "model.cs", "declaration"),
    (lambda w: cs.load(w.saved(), model=int), "model.cs", "no model"),
    (lambda w: below_zero().fit({"x": [9.0, 12.0]}).save(w.folder / "m.cs"), "Computed", "class"),
    (lambda w: w.other_checkpoint(), "point.cs", "other data"),
    (lambda w: Shop.fit(shop(), checkpoint=3), "path", "int"),
    (lambda w: Shop.fit(shop(), checkpoint=w.folder / "no" / "c.cs"), "c.cs", "cannot be written"),
    (lambda w: Hidden.fit(xy(), checkpoint=w.saved()), "model.cs", "another model"),
    (lambda w: Hidden.fit(xy(), checkpoint=w.file(b"text")), "file.cs", "no saved model"),
]


def evidence(world: World, data: Any) -> object:
    return world.shop.counterfactual(data, do={"load": 1})


def given(world: World, conditions: Any) -> object:
    return world.shop.sample(5, do={"load": 1}, given=conditions)


def equation(function: Callable[..., Any]) -> object:
    return computed(function).fit({"x": [-1.0, 1.0, 2.0]})


def region(levels: list[Any]) -> object:
    return Regions.fit(pd.DataFrame({"region": levels}))


def done(name: str, error: type[CausalSysError], says: str) -> str:
    """What a case of `do` is about: a misspelt name, the nested world, or the variable."""
    return "laod" if error is UnknownNameError else "do" if says == "int" else name


CASES = [
    *(Case(lambda w, d=data: Shop.fit(d), *rest) for data, *rest in DATA),
    *(
        Case(lambda w, n=n, v=v: Shop.fit(cell(n, v)), error, n.partition("_")[0], says)
        for n, v, error, says in CELLS
    ),
    *(Case(lambda w, v=v: region(v), error, "region", says) for v, error, says in LEVELS),
    *(Case(lambda w, d=data: Hidden.fit(d), *rest) for data, *rest in LATENT),
    *(Case(lambda w, f=f: equation(f), error, "z", says) for f, error, says in COMPUTED),
    *(Case(lambda w, f=f, n=names: cs.Traces(f, **n), *rest) for f, names, *rest in TRACES),
    *(Case(lambda w, v=v: Shop.fit(shop(), weight=v), *rest) for v, *rest in WEIGHTS),
    *(
        Case(lambda w, n=n, v=v: Shop.fit(shop(), **{n: v}), FitError, n, says)
        for n, v, says in OPTIONS
    ),
    *(Case(lambda w, d=data: evidence(w, d), *rest) for data, *rest in EVIDENCE),
    *(
        Case(lambda w, n=n, v=v: w.do(**{n: v}), error, done(n, error, says), says)
        for n, v, error, says in [*DO, *POLICIES]
    ),
    *(Case(lambda w, v=v: given(w, v), *rest) for v, *rest in GIVEN),
    *(Case(lambda w, n=n, v=v: w.shop.sample(**{n: v}), QueryError, n, str(v)) for n, v in COUNTS),
    *(Case(lambda w, r=read: r(w.do(load=1.0)), *rest) for read, *rest in ANSWERS),
    *(Case(*case) for case in [*FITS, *QUESTIONS]),
    *(Case(act, SavedModelError, about, says) for act, about, says in FILES),
]


@pytest.fixture(scope="module")
def fits() -> tuple[cs.FittedSCM, cs.FittedSCM, cs.FittedSCM]:
    return (
        Shop.fit(shop(), ensemble=2),
        Hidden.fit(xy(), ensemble=2),
        Queue.fit(cs.Traces(traces()), ensemble=2),
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.about}: {case.says}")
def test_a_mistake_is_told_in_full(
    case: Case, fits: tuple[cs.FittedSCM, cs.FittedSCM, cs.FittedSCM], tmp_path: Path
) -> None:
    with pytest.raises(case.error) as raised:
        case.act(World(*fits, tmp_path))
    told = raised.value
    message = str(told)
    assert told.variable == (tmp_path.name if case.about == "." else case.about)
    assert told.found.strip()
    assert told.mend.strip()
    assert all(part in message for part in (told.variable, told.found, told.mend, case.says))
    assert "\n" not in message
    assert len(message) < 400
    assert not [word for word in INTERNALS if word in message]
    assert not list(tmp_path.rglob(".*")), "something was left half written"
