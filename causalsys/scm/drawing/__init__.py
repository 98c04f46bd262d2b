"""Pictures of a causal graph: Graphviz text, self-contained SVG and HTML, matplotlib."""

from causalsys.scm.drawing.dot import to_dot
from causalsys.scm.drawing.figure import plot
from causalsys.scm.drawing.svg import to_html, to_svg

__all__ = ["plot", "to_dot", "to_html", "to_svg"]
