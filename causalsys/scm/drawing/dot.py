"""A graph as Graphviz text."""

from __future__ import annotations

from causalsys.scm.drawing import looks
from causalsys.scm.drawing.layers import layered
from causalsys.scm.drawing.looks import LOOKS, Shape
from causalsys.scm.graph import Graph

_SHAPES: dict[Shape, str] = {
    "pill": "shape=ellipse",
    "box": "shape=box",
    "hexagon": "shape=hexagon",
    "bars": "shape=cylinder",
    "double": "shape=ellipse, peripheries=2",
}


def to_dot(graph: Graph) -> str:
    """The graph in the DOT language, for Graphviz and whatever else reads it.

    Example:
        >>> import causalsys as cs
        >>> class Disk(cs.SCM):
        ...     load = cs.Latent(cs.Real())
        ...     duration = cs.Observed(cs.Positive("s"), parents=[load])
        >>> print(to_dot(Disk.graph))
        digraph "Disk" {
          rankdir=LR;
          node [fontname="Helvetica"];
          edge [color="#767676", fontname="Helvetica"];
          "load" [label="load", shape=ellipse, style="filled,dashed", ...];
          "duration" [label="duration", shape=ellipse, style="filled", ...];
          "load" -> "duration";
        }
    """
    lines = [
        f"digraph {_quoted(graph.name)} {{",
        "  rankdir=LR;",
        '  node [fontname="Helvetica"];',
        f'  edge [color="{looks.LINE}", fontname="Helvetica"];',
    ]
    lines += [f"  {_quoted(name)} [{_attributes(graph, name)}];" for name in graph.order]
    for link in layered(graph).links:
        ends = f"{_quoted(link.cause)} -> {_quoted(link.effect)}"
        how = f' [style=dashed, label="{link.label}", constraint=false]' if link.lagged else ""
        lines.append(f"  {ends}{how};")
    return "\n".join([*lines, "}"])


def _attributes(graph: Graph, name: str) -> str:
    look = LOOKS[graph.kinds[name]]
    second = looks.note(graph, name)
    text = _quoted(name.replace("&", "&amp;"))  # in labels, Graphviz reads HTML's entities
    label = text[:-1] + (f"\\n{second}" if second else "") + '"'
    style = "filled,dashed" if look.dashed else "filled"
    return (
        f'label={label}, {_SHAPES[look.shape]}, style="{style}", '
        f'color="{look.stroke}", fillcolor="{look.fill}"'
    )


def _quoted(text: str) -> str:
    r"""A DOT string.

    Backslashes are doubled: one before the closing quote would swallow it, and in a label `\n`
    or `\N` would be read as an instruction.
    """
    clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return '"' + clean.replace("\\", "\\\\").replace('"', '\\"') + '"'
