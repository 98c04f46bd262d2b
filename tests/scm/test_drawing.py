"""Pictures: every name is in them, nothing overlaps, and no name can break them."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from xml.etree import ElementTree

import matplotlib as mpl
import pydot
import pytest
from hypothesis import given, settings

import causalsys as cs
from causalsys.scm.declaration import Declaration
from causalsys.scm.drawing import plot, to_dot, to_html, to_svg
from causalsys.scm.drawing.layout import Layout, lay_out
from causalsys.scm.drawing.looks import LOOKS, shown
from causalsys.scm.graph import Edge, Graph
from tests.strategies import declarations, odd_names

mpl.use("Agg")

SVG = "{http://www.w3.org/2000/svg}"
reads_dot = pytest.mark.filterwarnings("ignore::DeprecationWarning")
"""pydot calls its parser by names that the parser has retired."""

any_model = declarations(names=odd_names, largest=10)


class Everything(cs.SCM):
    arm = cs.Arm()
    host = cs.Latent(cs.Real(), per="trace")
    size = cs.Latent(cs.Positive())
    backlog = cs.State(cs.Positive())
    choice = cs.Decision(cs.Real(), [arm, backlog])
    work = cs.Observed(cs.Positive(), [size, choice, host])

    @cs.equation(cs.Positive())
    def latency(backlog, work):
        return backlog + work

    alarm = cs.Observed(cs.Boolean(), [latency, latency.lag(1), latency.lag(2)])

    @cs.transition(backlog)
    def drain(backlog, work):
        return backlog + work


def large(n: int) -> Graph:
    """A call graph: each service is called by one of the 25 before it."""
    edges = tuple(Edge(f"s{i}", f"s{max(0, i - 1 - i * 7 % 25)}") for i in range(1, n))
    names = [f"s{i}" for i in reversed(range(n))]
    return Graph("Large", dict.fromkeys(names, "observed"), dict.fromkeys(names, "step"), edges)


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


# The layout


def overlaps(layout: Layout) -> list[tuple[str, str]]:
    boxes = list(layout.boxes.values())
    return [
        (a.name, b.name)
        for i, a in enumerate(boxes)
        for b in boxes[:i]
        if abs(a.x - b.x) < (a.width + b.width) / 2 and abs(a.y - b.y) < (a.height + b.height) / 2
    ]


@given(any_model)
def test_boxes_lie_inside_the_page_and_apart(model: Declaration) -> None:
    layout = lay_out(model.graph)
    assert set(layout.boxes) == set(model.nodes)
    assert overlaps(layout) == []
    for box in layout.boxes.values():
        (left, top), (right, bottom) = box.corners
        assert left >= 0 <= top
        assert right <= layout.width
        assert bottom <= layout.height


@given(any_model)
def test_effects_come_after_their_causes(model: Declaration) -> None:
    layout = lay_out(model.graph)
    for edge in model.graph.edges:
        if edge.lag == 0:
            assert layout.boxes[edge.cause].flow < layout.boxes[edge.effect].flow


@given(any_model)
def test_every_edge_is_drawn_from_border_to_border(model: Declaration) -> None:
    layout = lay_out(model.graph)
    drawn = {
        (route.link.cause, route.link.effect, lag)
        for route in layout.routes
        for lag in route.link.lags
    }
    assert drawn == {(e.cause, e.effect, e.lag) for e in model.graph.edges}
    for route in layout.routes:
        ends = (route.link.cause, route.curve[0]), (route.link.effect, route.head[0])
        for name, (x, y) in ends:
            box = layout.boxes[name]
            assert abs(x - box.x) <= box.width / 2 + 0.01
            assert abs(y - box.y) <= box.height / 2 + 0.01
        assert len(route.curve) % 3 == 1
        assert all(0 <= x <= layout.width and 0 <= y <= layout.height for x, y in route.head)


@settings(max_examples=30)
@given(any_model)
def test_lines_do_not_cross_boxes(model: Declaration) -> None:
    """Within a step: a sampled point of a line is in no box but those of its ends."""
    layout = lay_out(model.graph)
    for route in layout.routes:
        if route.link.lagged:
            continue
        for i in range(0, len(route.curve) - 1, 3):
            a, b, c, d = route.curve[i : i + 4]
            for t in (0.1, 0.3, 0.5, 0.7, 0.9):
                shares = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
                x, y = (
                    sum(s * p[axis] for s, p in zip(shares, (a, b, c, d), strict=True))
                    for axis in (0, 1)
                )
                for box in layout.boxes.values():
                    inside = (
                        abs(x - box.x) < box.width / 2 - 1 and abs(y - box.y) < box.height / 2 - 1
                    )
                    assert not inside or box.name in (route.link.cause, route.link.effect)


def test_the_layout_is_the_same_every_time() -> None:
    assert lay_out(Everything.graph) == lay_out(Everything.graph)
    assert lay_out(large(60)) == lay_out(large(60))


def test_two_hundred_services_take_a_moment() -> None:
    start = time.perf_counter()
    layout = lay_out(large(200))
    assert overlaps(layout) == []
    assert time.perf_counter() - start < 10


def test_labels_of_lags_stay_off_boxes_and_each_other() -> None:
    layout = lay_out(Everything.graph)
    labels = [route for route in layout.routes if route.link.lagged]
    assert sorted(route.link.label for route in labels) == ["-1", "-1", "-1, -2"]
    for i, route in enumerate(labels):
        x, y = route.label_at
        for box in layout.boxes.values():
            assert abs(x - box.x) > box.width / 2 or abs(y - box.y) > box.height / 2
        assert all(abs(x - b.label_at[0]) > 8 or abs(y - b.label_at[1]) > 8 for b in labels[:i])


@pytest.mark.parametrize("names", [(), ("alone",), ("one", "two")])
def test_graphs_without_edges(names: tuple[str, ...]) -> None:
    graph = Graph("M", dict.fromkeys(names, "observed"), dict.fromkeys(names, "step"), ())
    assert set(lay_out(graph).boxes) == set(names)
    ElementTree.fromstring(to_svg(graph))
    plot(graph)


def test_long_names_keep_both_ends() -> None:
    assert shown("short") == "short"
    long = shown("frontend." + "x" * 50 + ".p99")
    assert len(long) == 30
    assert long.startswith("frontend.")
    assert long.endswith(".p99")


# SVG and HTML


@given(any_model)
def test_svg_is_xml_that_names_every_variable(model: Declaration) -> None:
    root = ElementTree.fromstring(to_svg(model.graph))
    titles = [element.text for element in root.iter(f"{SVG}title")]
    texts = [element.text for element in root.iter(f"{SVG}text")]
    for node in model.nodes.values():
        about = f"{node.name}: {node.kind}" + (", per trace" if node.per == "trace" else "")
        assert about in titles
        assert shown(node.name) in texts


def test_svg_needs_nothing_else() -> None:
    svg = to_svg(Everything.graph).replace("http://www.w3.org/2000/svg", "")
    for outside in ("http", "url(", "<script", "<image", "@import", "<use"):
        assert outside not in svg


def test_svg_tells_kinds_apart_without_colour() -> None:
    named = {"observed": "work", "latent": "size", "arm": "arm", "state": "backlog"}
    named |= {"decision": "choice", "equation": "latency"}

    def outline(kind: str) -> tuple[object, ...]:
        svg = to_svg(Everything.graph)
        (group,) = re.findall(rf"<g><title>{named[kind]}: {kind}.*?</g>", svg)
        tags = re.findall(r"<(rect|polygon|path)", group)
        sharp = 'rx="2.0"' in group
        return *tags, sharp, "stroke-dasharray" in group

    assert len({outline(kind) for kind in LOOKS}) == len(LOOKS)


def test_svg_explains_what_is_in_it_and_only_that() -> None:
    everything = to_svg(Everything.graph)
    for look in LOOKS.values():
        assert look.meaning in everything
    assert "acts from an earlier step" in everything
    plain = to_svg(large(3))
    assert LOOKS["observed"].meaning in plain
    assert LOOKS["latent"].meaning not in plain
    assert "earlier step" not in plain


def test_svg_is_readable_on_dark_pages() -> None:
    """WCAG's contrast of text, at least 4.5, on every fill of either scheme."""
    looks = LOOKS.values()
    from causalsys.scm.drawing import looks as scheme

    pairs = [(scheme.INK, fill) for fill in (scheme.CARD, *(look.fill for look in looks))]
    dark = (scheme.DARK_CARD, *(look.dark_fill for look in looks))
    pairs += [(scheme.DARK_INK, fill) for fill in dark]
    assert min(_contrast(a, b) for a, b in pairs) > 4.5
    assert "prefers-color-scheme: dark" in to_svg(Everything.graph)


def _contrast(a: str, b: str) -> float:
    light, dark = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_html_scrolls() -> None:
    page = to_html(Everything.graph)
    assert page.startswith("<div")
    assert "overflow-x: auto" in page
    assert to_svg(Everything.graph) in page


@reads_dot
def test_the_name_of_the_model_is_escaped() -> None:
    graph = Graph('</svg><script>"&\x00', {"a": "observed"}, {"a": "step"}, ())
    svg = to_svg(graph)
    assert "<script>" not in svg
    ElementTree.fromstring(svg)
    assert pydot.graph_from_dot_data(to_dot(graph))


# Graphviz


@reads_dot
@settings(max_examples=25)
@given(any_model)
def test_dot_can_be_read_back(model: Declaration) -> None:
    (read,) = pydot.graph_from_dot_data(to_dot(model.graph)) or [None]
    assert read is not None
    nodes = {node.get_name() for node in read.get_nodes()} - {"node", "edge"}
    assert {_unquoted(name) for name in nodes} == set(model.nodes)
    drawn = {(_unquoted(e.get_source()), _unquoted(e.get_destination())) for e in read.get_edges()}
    assert drawn == {(edge.cause, edge.effect) for edge in model.graph.edges}


def _unquoted(text: str) -> str:
    assert text[0] == text[-1] == '"'
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def test_dot_labels_show_what_graphviz_would_interpret() -> None:
    names = ["&amp;", "\\N", 'say "hi"']
    graph = Graph("M", dict.fromkeys(names, "observed"), dict.fromkeys(names, "step"), ())
    dot = to_dot(graph)
    for label in ("&amp;amp;", r"\\N", r"say \"hi\""):
        assert f'[label="{label}"' in dot


def test_dot_tells_kinds_apart() -> None:
    lines = to_dot(Everything.graph).splitlines()
    about = {line.split('"')[1]: line for line in lines if "label=" in line and "->" not in line}
    assert 'style="filled,dashed"' in about["size"]
    assert "dashed" not in about["work"]
    assert "shape=box" in about["choice"]
    assert "shape=hexagon" in about["arm"]
    assert "shape=cylinder" in about["backlog"]
    assert "peripheries=2" in about["latency"]
    assert r'label="host\nper trace"' in about["host"]
    assert '  "choice" -> "work";' in lines
    lagged = '[style=dashed, label="-1", constraint=false];'
    assert f'  "backlog" -> "backlog" {lagged}' in lines
    assert any('"latency" -> "alarm" [style=dashed, label="-1, -2"' in line for line in lines)


# matplotlib


def test_plot_draws_on_the_axes_it_is_given() -> None:
    import matplotlib.pyplot as plt

    _, axes = plt.subplots(1, 2)
    assert plot(Everything.graph, axes[1]) is axes[1]
    assert not axes[0].texts
    assert plt.get_fignums() == [1]


def test_plot_names_and_explains_everything() -> None:
    ax = plot(Everything.graph)
    texts = [text.get_text() for text in ax.texts]
    assert set(Everything.declaration.nodes) <= set(texts)
    assert texts.count("per trace") == 2
    assert "-1, -2" in texts
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [
        *(look.meaning for look in LOOKS.values()),
        "acts from an earlier step",
    ]


@pytest.mark.parametrize("graph", [Everything.graph, large(30), large(200)])
def test_text_fits_its_box(graph: Graph) -> None:
    ax = plot(graph)
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    layout = lay_out(graph)
    for text in ax.texts:
        if text.get_text() in layout.boxes:
            box = layout.boxes[text.get_text()]
            extent = text.get_window_extent().transformed(ax.transData.inverted())
            assert abs(extent.width) < box.width - 8
            assert abs(extent.height) < box.height


def test_plot_in_a_small_axes_still_fits() -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(6, 6), layout="constrained")
    ax = plot(Everything.graph, axes[0, 1])
    figure.draw_without_rendering()
    layout = lay_out(Everything.graph)
    (name,) = (text for text in ax.texts if text.get_text() == "latency")
    extent = name.get_window_extent().transformed(ax.transData.inverted())
    assert abs(extent.width) < layout.boxes["latency"].width * 1.2


@settings(max_examples=20)
@given(any_model)
def test_plot_takes_any_name(model: Declaration) -> None:
    import matplotlib.pyplot as plt

    ax = plot(model.graph)
    texts = [text.get_text() for text in ax.texts]
    assert {shown(name) for name in model.nodes} <= set(texts)
    plt.close("all")


def test_a_model_draws_itself() -> None:
    ax = Everything.plot()
    assert "latency" in [text.get_text() for text in ax.texts]
