"""Published cases of identification, as models; `python -m docs.cases` writes their table.

Each has a verdict that its source proves. A test holds the table in `docs/identification.md` to
what the verdicts are now, and these to what the sources say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import causalsys as cs
from causalsys.scm.specs import MechanismSpec

PAGE = Path(__file__).with_name("identification.md")
BEGIN, END = "<!-- cases: begin -->\n", "<!-- cases: end -->\n"


@dataclass(frozen=True)
class Case:
    """A question with a known verdict.

    Attributes:
        name: What the field calls it.
        edges: Pairs (cause, effect), as text: "u>x u>y x>y".
        ask: What `identify` is asked.
        status: The verdict that the source proves.
        source: The source.
        under: The assumptions that must be named.
        latents: Which variables are latent.
        kind: What the variables are.
        mechanism: What they follow, where that matters.
        special: Variables that differ from all others.
        selected: What the logged rows were chosen by.
    """

    name: str
    edges: str
    ask: Mapping[str, Any]
    status: str
    source: str
    under: tuple[str, ...] = ()
    latents: tuple[str, ...] = ("u",)
    kind: cs.Real | cs.Boolean | cs.Positive = field(default_factory=cs.Real)
    mechanism: MechanismSpec | None = None
    special: Mapping[str, Any] = field(default_factory=dict)
    selected: Sequence[str] = ()

    def model(self) -> type[cs.SCM]:
        """The case as a model."""
        pairs = [tuple(edge.split(">")) for edge in self.edges.split()]
        variables = {name: cs.Latent(self.kind) for name in self.latents} | dict(self.special)
        return cs.SCM.from_graph(
            [(cause, effect) for cause, effect in pairs],
            name=self.name,
            variables=variables,
            default=cs.Observed(self.kind, mechanism=self.mechanism),
            selected=self.selected,
        )


EFFECT = {"outcome": "y", "do": "x"}
ROWS = {**EFFECT, "counterfactual": True}
LINE = cs.Linear()
PEARL = "Pearl, Causality, 2009"
CASES = (
    Case("bow", "u>x u>y x>y", EFFECT, "not identified", f"{PEARL}, 3.5"),
    Case("bow, linear", "u>x u>y x>y", EFFECT, "not identified", f"{PEARL}, 5.3", mechanism=LINE),
    Case(
        "bow, yes or no", "u>x u>y x>y", EFFECT, "bounded", "Manski, 1990",
        special={"x": cs.Observed(cs.Boolean()), "y": cs.Observed(cs.Boolean())},
    ),
    Case("back door", "z>x z>y x>y", EFFECT, "identified", f"{PEARL}, 3.3.1", latents=()),
    Case("front door", "u>x u>y x>m m>y", EFFECT, "identified", f"{PEARL}, 3.3.2"),
    Case(
        "napkin", "u>w u>x v>w v>y w>z z>x x>y", EFFECT, "identified",
        "Pearl and Mackenzie, The Book of Why, 2018, figure 7.5", latents=("u", "v"),
    ),
    Case(
        "M-graph", "u>z u>x v>z v>y x>y", EFFECT, "identified", "Greenland, Pearl, Robins, 1999",
        latents=("u", "v"),
    ),
    Case("instrument", "z>x u>x u>y x>y", EFFECT, "not identified", "Balke and Pearl, 1997"),
    Case(
        "instrument, linear", "z>x u>x u>y x>y", EFFECT, "identified under",
        f"Wright, 1928; {PEARL}, 5.4", under=("instrument", "linear mechanisms"), mechanism=LINE,
    ),
    Case(
        "randomised arm, linear", "arm>x u>x u>y x>y", EFFECT, "identified under",
        "Angrist, Imbens, Rubin, 1996", under=("randomised arm", "linear mechanisms"),
        mechanism=LINE, special={"arm": cs.Arm(cs.Categorical(["a", "b"]))},
    ),
    Case(
        "instrument, yes or no", "z>x u>x u>y x>y", EFFECT, "bounded", "Balke and Pearl, 1997",
        special={name: cs.Observed(cs.Boolean()) for name in "zxy"},
    ),
    Case("one proxy", "u>w u>x u>y x>y", EFFECT, "not identified", "Kuroki and Pearl, 2014"),
    Case(
        "two proxies", "u>z u>w u>x u>y x>y", EFFECT, "identified under",
        "Miao, Geng, Tchetgen, 2018", under=("proxies",),
    ),
    Case(
        "two proxies, linear", "u>z u>w u>x u>y x>y", EFFECT, "identified under",
        "Kuroki and Pearl, 2014", under=("linear mechanisms",), mechanism=LINE,
    ),
    Case(
        "a hidden class with three tests", "u>a u>b u>c",
        {"outcome": "u", "latent": True, "given": "a"}, "identified under",
        "Allman, Matias, Rhodes, 2009", under=("a stated rank",), kind=cs.Boolean(),
    ),
    Case(
        "a hidden class with two tests", "u>a u>b",
        {"outcome": "u", "latent": True, "given": "a"}, "not identified",
        "Allman, Matias, Rhodes, 2009", kind=cs.Boolean(),
    ),
    Case(
        "CausalSim's trial, new rows", "arm>x u>m x>m", {"outcome": "m", "do": "x"}, "identified",
        "Alomar et al., NSDI 2023", special={"arm": cs.Arm(cs.Categorical(["a", "b"]))},
    ),
    Case(
        "CausalSim's trial, these rows", "arm>x u>m x>m",
        {"outcome": "m", "do": "x", "counterfactual": True}, "identified under",
        "Alomar et al., NSDI 2023, 4.2", under=("rank one",),
        special={
            "arm": cs.Arm(cs.Categorical(["a", "b"])),
            "m": cs.Observed(cs.Positive(), mechanism=cs.Multiplicative()),
        },
    ),
    Case(
        "the same, two hidden numbers", "arm>x u>m x>m",
        {"outcome": "m", "do": "x", "counterfactual": True}, "not identified",
        "Nasr-Esfahany and Kıcıman, 2023",
        special={
            "arm": cs.Arm(cs.Categorical(["a", "b"])),
            "m": cs.Observed(cs.Positive(), mechanism=cs.SplineFlow()),
        },
    ),
    Case(
        "rows without hidden causes", "z>x z>y x>y", ROWS, "identified under",
        "Nasr-Esfahany, Alizadeh, Shah, 2023", under=("monotone one-dimensional noise",),
        latents=(),
    ),
    Case(
        "effect on the treated, bow", "u>x u>y x>y", {**EFFECT, "counterfactual": ["x"]},
        "not identified", "Shpitser and Pearl, 2009",
    ),
    Case(
        "effect on the treated, front door", "u>x u>y x>m m>y",
        {**EFFECT, "counterfactual": ["x"]}, "identified", "Shpitser and Pearl, 2009",
    ),
    Case(
        "probability of necessity", "x>y", ROWS, "identified under", f"{PEARL}, 9.2",
        under=("Gumbel noise",), latents=(), kind=cs.Boolean(),
    ),
    Case(
        "only slow requests are logged", "x>y", EFFECT, "not identified",
        "Bareinboim, Tian, Pearl, 2014", latents=(), selected=("y",),
    ),
    Case(
        "logging looked at the cause alone", "x>y", EFFECT, "identified",
        "Bareinboim, Tian, Pearl, 2014", latents=(), selected=("x",),
    ),
)  # fmt: skip


def table() -> str:
    """The cases and their verdicts, as a Markdown table."""
    lines = [
        "| case | edges | question | verdict | formula | source |",
        "|---|---|---|---|---|---|",
    ]
    for case in CASES:
        verdict = case.model().identify(**case.ask)
        under = ", ".join(dict.fromkeys(item.name for item in verdict.assumptions))
        told = f"{verdict.status}{f' {{{under}}}' if under else ''}"
        formula = f"`{verdict.formula}`" if verdict.formula else ""
        edges = case.edges.replace(">", "→")
        cells = (case.name, edges, f"`{verdict.question}`", told, formula, case.source)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def page() -> str:
    """The page, with the table as it is now."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
