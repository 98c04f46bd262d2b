"""Which part of the system a variable measures."""

import numpy as np
import pytest

import causalsys as cs
from causalsys.errors import DeclarationError


class Pay(cs.SCM):
    """One service on one host."""

    host = cs.Latent(cs.Real(), component="host:a")
    cpu = cs.Observed(cs.Real(), parents=[host], component="pay")
    load = cs.Observed(cs.Real())
    latency = cs.Observed(cs.Real(), parents=[host, cpu, load], component="pay")

    @cs.equation(cs.Real(), component="pay")
    def seconds(latency, load):
        return latency * load


def test_a_component_is_declared_with_the_variable():
    nodes = Pay.declaration.nodes
    assert {name: node.component for name, node in nodes.items()} == {
        "host": "host:a",
        "cpu": "pay",
        "load": None,
        "latency": "pay",
        "seconds": "pay",
    }


def test_a_graph_from_elsewhere_keeps_components_when_saved(tmp_path):
    rng = np.random.default_rng(0)
    model = cs.SCM.from_graph(
        [("a", "b")], variables={"a": cs.Observed(cs.Real(), component="left")}
    )
    fitted = model.fit({"a": rng.normal(size=50), "b": rng.normal(size=50)})
    fitted.save(tmp_path / "model.csm")
    again = cs.load(tmp_path / "model.csm")
    assert again.node("a").component == "left"
    assert again.node("b").component is None


@pytest.mark.parametrize("component", ["", 3])
def test_a_component_has_a_name(component):
    with pytest.raises(DeclarationError, match="component"):
        cs.Observed(cs.Real(), component=component)
