"""`python -m case_studies.load_balancing`: the study, printed, drawn, and as one page."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd

import causalsys as cs
from case_studies.load_balancing.picture import draw
from case_studies.load_balancing.study import Study, run
from causalsys.report import Figure, Section, Table, page, write_page


def main() -> None:
    """Run the study; write the picture and the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", default="shortest_queue", help="the arm that is left out")
    parser.add_argument("--traces", type=int, default=320)
    parser.add_argument("--steps", type=int, default=500, help="jobs in a trace")
    parser.add_argument(
        "--least-spread",
        type=float,
        default=0.05,
        help="of sizes within a regime, over their mean; 0 in the paper (see README.md)",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the results")
    args = parser.parse_args()
    begun = time.monotonic()
    study = run(
        args.traces,
        args.steps,
        target=args.target,
        seed=args.seed,
        least_spread=args.least_spread,
    )
    args.out.mkdir(parents=True, exist_ok=True)
    figure = draw(study)
    figure.savefig(args.out / "load_balancing.png", dpi=150)
    write_page(args.out / "load_balancing.html", report(study, figure, seed=args.seed))
    print(f"{study.sentence}\n\n{shown(study).to_string()}\n\n{told(study)}")
    print(
        f"\nWrote load_balancing.png and .html to {args.out}/ in {time.monotonic() - begun:.0f} s."
    )


def shown(study: Study) -> pd.DataFrame:
    """The table as people read it."""
    return study.table.map(lambda value: "" if np.isnan(value) else f"{value:.4g}")


def told(study: Study) -> str:
    """What a reader must know to read the table."""
    luck = "and with other luck, as in any second run" if study.random else "and nothing else"
    return (
        f"The fitted slowdowns are off by {study.rate_error:.2g} %. The row `floor` is the true "
        f"system with its own off by as much, {luck}: one job sent elsewhere sends all later "
        "ones elsewhere, so roll-out errors are to be read beside it. One-step error and bias are "
        "what a simulator is to be judged by."
    )


def report(study: Study, figure: object, *, seed: int) -> str:
    """The page."""
    rows = len(study.log)
    picture = Figure(
        figure,  # type: ignore[arg-type]
        "Left: latencies of all jobs. Right: what was found about the servers, which nobody "
        "logged. Below: the first jobs of one trace.",
    )
    return page(
        f"What would every trace have been under {study.target}?",
        study.sentence,
        sections=[
            Section(
                "The answer",
                [
                    picture,
                    Table(shown(study)),
                    told(study),
                ],
            ),
            Section(
                "How it was answered",
                [
                    f"The model was fitted to {rows} jobs in {study.log['trace'].nunique()} traces "
                    f"under {study.log['arm'].nunique()} policies; {study.target} was not among "
                    "them. A job's size, and how slow each server is, is in no column.",
                    "One-step error: each job on the server that it has in the truth. Roll-out "
                    "error: each job on the server that the simulation sends it to. Replay takes "
                    "the record for the answer; ExpertSim rolls the queues and keeps each job's "
                    "recorded work, whichever server it goes to.",
                    f"Verdict. {study.verdict}",
                ],
            ),
        ],
        provenance={
            "log": f"case_studies.load_balancing.system, seed {seed}",
            "causalsys": cs.__version__,
            "command": "python -m case_studies.load_balancing "
            f"--target {study.target} --seed {seed}",
        },
    )


if __name__ == "__main__":
    main()
