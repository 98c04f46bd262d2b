"""Saved models: the same answers bit for bit, and no code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

import causalsys as cs
from causalsys.errors import SavedModelError
from tests import models
from tests.models import Zoo

CASES = {
    "zoo": (models.fitted_zoo, lambda: models.zoo()[:20], "x"),
    "confounded": (models.fitted_confounded, lambda: models.confounded(20), "x"),
    "bent": (models.fitted_bent, lambda: models.bent(20), "x"),
    "classes": (models.fitted_classes, lambda: models.classes(20), "p"),
    "line": (models.fitted_line, lambda: cs.Traces(models.line()), "served"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_loaded_model_answers_bit_for_bit(case: str, tmp_path: Path) -> None:
    make, evidence, name = CASES[case]
    fitted, path = make(), tmp_path / "model.cs"
    fitted.save(path)
    loaded = cs.load(path)
    assert loaded.diagnostics == fitted.diagnostics
    assert loaded.schema == fitted.schema
    assert (loaded.members, loaded.seed) == (fitted.members, fitted.seed)
    worlds = [{name: 0}, {name: 1}]
    one, two = (m.counterfactual(evidence(), do=worlds, seed=3) for m in (fitted, loaded))
    assert one.values.keys() == two.values.keys()
    assert all(torch.equal(one.values[n], two.values[n]) for n in one.values)
    assert all(torch.equal(one.factual[n], two.factual[n]) for n in one.factual)
    one, two = (m.sample(10, seed=4) for m in (fitted, loaded))
    assert all(torch.equal(one.values[n], two.values[n]) for n in one.values)


def test_saving_what_was_loaded_gives_the_same_file(tmp_path: Path) -> None:
    first, second = tmp_path / "first.cs", tmp_path / "second.cs"
    models.fitted_zoo().save(first)
    cs.load(first).save(second)
    assert first.read_bytes() == second.read_bytes()


def test_a_loaded_model_can_be_refitted(tmp_path: Path) -> None:
    path = tmp_path / "model.cs"
    models.fitted_confounded().save(path)
    loaded = cs.load(path)
    again = loaded.refit(models.confounded(100, seed=8), only=["y"])
    assert again.sample(5).draws("y").values.shape == (2, 5)


def test_a_model_of_a_graph_needs_no_class(tmp_path: Path) -> None:
    path = tmp_path / "model.cs"
    variables = {"u": cs.Latent(cs.Real())}
    default = cs.Observed(cs.Real(), mechanism=cs.Linear())
    edges = [("u", "x"), ("u", "y"), ("u", "w1"), ("u", "w2"), ("x", "y")]
    model = cs.SCM.from_graph(edges, name="Graph", variables=variables, default=default)
    data = models.confounded(60)
    fitted = model.fit(data, ensemble=2)
    fitted.save(path)
    loaded = cs.load(path)
    assert loaded.declaration.fingerprint == model.declaration.fingerprint
    one, two = (m.counterfactual(data, do={"x": 1.0}) for m in (fitted, loaded))
    assert torch.equal(one.values["y"], two.values["y"])


def test_names_of_any_kind(tmp_path: Path) -> None:
    """Of paths that begin alike, with spaces, and such as Pyro programs use for themselves."""
    edges = [("row", "a"), ("row", "a/b"), ("a", "a/b/c"), ("row", "member"), ("row", "p99 [ms]")]
    variables = {"row": cs.Latent(cs.Real())}
    network = cs.NeuralAdditive(hidden=(4,), noise="normal")
    model = cs.SCM.from_graph(
        edges, variables=variables, default=cs.Observed(cs.Real(), mechanism=network)
    )
    row = torch.linspace(-1, 1, 40, dtype=torch.float64)
    data = {name: (row + 0.3 * torch.sin(7 * row + i)).numpy() for i, (_, name) in enumerate(edges)}
    fitted, path = model.fit(data, ensemble=2, steps=10), tmp_path / "model.cs"
    fitted.save(path)
    loaded = cs.load(path)
    for name, mechanism in fitted.mechanisms.items():
        assert loaded.mechanisms[name].state.keys() == mechanism.state.keys()
    one, two = (m.counterfactual(data, do={"a": 1.0}) for m in (fitted, loaded))
    assert torch.equal(one.values["a/b/c"], two.values["a/b/c"])


def test_a_local_class_is_loaded_by_handing_it_over(tmp_path: Path) -> None:
    class Local(cs.SCM):
        x = cs.Observed(cs.Real(), mechanism=cs.Linear())

        @cs.equation(cs.Real())
        def twice(x):
            return 2 * x

    path = tmp_path / "model.cs"
    fitted = Local.fit({"x": [1.0, 2.0, 4.0]}, ensemble=1)
    fitted.save(path)
    with pytest.raises(SavedModelError, match="cannot be imported"):
        cs.load(path)
    loaded = cs.load(path, model=Local)
    assert loaded.counterfactual({"x": 1.0}, do={"x": 5.0}).mean("twice") == [10.0]


def _declared(factor: float) -> type[cs.SCM]:
    class Local(cs.SCM):
        x = cs.Observed(cs.Real(), mechanism=cs.Linear())

        @cs.equation(cs.Real())
        def scaled(x):
            return factor * x

    return Local


def test_a_changed_equation_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "model.cs"
    _declared(2.0).fit({"x": [1.0, 2.0, 4.0]}, ensemble=1).save(path)
    assert cs.load(path, model=_declared(2.0)).members == 1
    with pytest.raises(SavedModelError, match="its declaration has changed"):
        cs.load(path, model=_declared(3.0))


def test_the_file_is_tensors_and_json(tmp_path: Path) -> None:
    path = tmp_path / "model.cs"
    models.fitted_zoo().save(path)
    with safe_open(path, framework="pt") as archive:
        content = json.loads(json.loads(archive.metadata()["causalsys"])["content"])
    assert content["name"] == "Zoo"
    assert content["origin"] == f"{Zoo.__module__}:Zoo"
    assert str(tmp_path) not in json.dumps(content)


def test_saving_replaces_a_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A save that fails half-way leaves the old file, and nothing else."""
    path = tmp_path / "model.cs"
    models.fitted_confounded().save(path)
    before = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("causalsys.fit.archive.save_file", full)
    with pytest.raises(SavedModelError, match="No space left"):
        models.fitted_zoo().save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.9, 0.999])
def test_no_part_of_a_file_is_a_model(cut: float, tmp_path: Path) -> None:
    path = tmp_path / "model.cs"
    models.fitted_classes().save(path)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(cut * len(raw))])
    with pytest.raises(SavedModelError, match=r"model\.cs"):
        cs.load(path)


def test_every_flipped_byte_is_noticed(tmp_path: Path) -> None:
    """Of a file's header, JSON and tensors: one in fifty."""
    path = tmp_path / "model.cs"
    models.fitted_classes().save(path)
    raw = path.read_bytes()
    for place in range(0, len(raw), max(len(raw) // 50, 1)):
        path.write_bytes(raw[:place] + bytes([raw[place] ^ 4]) + raw[place + 1 :])
        with pytest.raises(SavedModelError):
            cs.load(path)
