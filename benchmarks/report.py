"""From measurements to a table for people and a file for machines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.lines import Line
from benchmarks.machine import machine

HERE = Path(__file__).parent
SEED = 0
"""Of every random choice in these benchmarks."""
_GROUPS = (
    ("trust", "Trust", "make bench-trust"),
    ("simulation", "Simulation", "make bench-simulation"),
    ("rootcause", "Root cause", "make bench-rootcause"),
    ("mispredictions", "Mispredictions", "make bench-mispredictions"),
)


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        benchmark: Which benchmark it is of.
        case: What was measured, and against what.
        ours: Our figure.
        theirs: The peer's; None where there is none to compare with.
        unit: "s", "MB", or "" for a bare number.
        figure: What the target is about: ours in units of theirs, or an exponent.
        most: The target: the figure is at most this. None where the row only informs.
    """

    benchmark: str
    case: str
    ours: float
    theirs: float | None
    unit: str
    figure: float
    most: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without a target."""
        return None if self.most is None else self.figure <= self.most


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| benchmark | case | ours | peer | figure | target | met |",
        "|---|---|--:|--:|--:|--:|---|",
    ]
    for row in rows:
        theirs = "" if row.theirs is None else _shown(row.theirs, row.unit)
        target = "" if row.most is None else f"≤ {row.most:g}"
        met = {True: "yes", False: "**no**", None: ""}[row.met]
        cells = (row.benchmark, row.case, _shown(row.ours, row.unit), theirs)
        lines.append("| " + " | ".join([*cells, f"{row.figure:.3g}", target, met]) + " |")
    return "\n".join(lines)


def write(rows: Sequence[Row], *, results: Path = HERE / "results", text: Path = HERE) -> None:
    """Write `core.json` under `results`, and `RESULTS.md` under `text`."""
    results.mkdir(exist_ok=True)
    content = {
        "date": datetime.now(UTC).date().isoformat(),
        "seed": SEED,
        "machine": machine(),
        "rows": [{**asdict(row), "met": row.met} for row in rows],
    }
    dump(content, results / "core.json")
    (text / "RESULTS.md").write_text(page(results))


def dump(content: Mapping[str, Any], path: Path) -> None:
    """Write results for machines."""
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def page(results: Path) -> str:
    """`RESULTS.md`, of all results there are."""
    parts = ["# Results\n"]
    if (results / "core.json").exists():
        parts.append(_core(json.loads((results / "core.json").read_text())))
    for name, title, how in _GROUPS:
        if (results / f"{name}.json").exists():
            content = json.loads((results / f"{name}.json").read_text())
            parts.append(_lines(content, title=title, how=how))
    return "\n".join(parts)


def _core(content: Mapping[str, Any]) -> str:
    rows = [
        Row(**{key: value for key, value in row.items() if key != "met"}) for row in content["rows"]
    ]
    return (
        "## Core\n\n"
        f"Written by `make bench` on {content['date']}, seed {content['seed']}. "
        f"{_told(content['machine'])}.\n\n"
        "A *figure* is our time or memory in units of the peer's, taken side by side in one run "
        "(the median over alternating rounds, each on one thread), or an exponent. Take figures "
        "from this table, not seconds: the machine is shared. All calls are warm, ours and the "
        "peers' alike; the first call of its size takes up to twice as long.\n\n"
        f"{table(rows)}\n"
    )


def write_part(
    group: str,
    name: str,
    rows: Sequence[Line],
    *,
    order: Sequence[str],
    results: Path = HERE / "results",
    text: Path = HERE,
) -> None:
    """Put one part's rows into its group's file, and `RESULTS.md` in line with it.

    Args:
        group: "trust" or "simulation".
        name: The part.
        rows: What it measured.
        order: The group's parts, as they are to be listed.
        results: Where the group's file is.
        text: Where `RESULTS.md` is.
    """
    path = results / f"{group}.json"
    before = json.loads(path.read_text())["parts"] if path.exists() else {}
    today = datetime.now(UTC).date().isoformat()
    found = {**before, name: {"date": today, "rows": [asdict(row) for row in rows]}}
    parts = {each: found[each] for each in order if each in found}
    dump({"machine": machine(), "parts": parts}, path)
    (text / "RESULTS.md").write_text(page(results))


def _lines(content: Mapping[str, Any], *, title: str, how: str) -> str:
    lines = [
        f"## {title}\n",
        f"Written by `{how}`. {_told(content['machine'])}. Rates and ratios; the notes "
        "name the seeds. Nothing here was tuned on the seeds that are reported.\n",
        "| of | what | measured | target | met | note |",
        "|---|---|--:|---|---|---|",
    ]
    for name, part in content["parts"].items():
        for row in part["rows"]:
            met = {True: "yes", False: "**no**", None: ""}[row["met"]]
            figure = f"{row['measured']:.4g}"
            note = f"{row['note']}; {part['date']}" if row["note"] else part["date"]
            cells = (row["what"] or name, row["case"], figure, row["target"], met, note)
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _told(host: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {value}" for key, value in host.items())


def _shown(value: float, unit: str) -> str:
    if unit == "s":
        return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.3g} s"
    return f"{value:.4g} {unit}".strip()
