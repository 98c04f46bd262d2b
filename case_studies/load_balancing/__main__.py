"""`python -m case_studies.load_balancing`: the study, printed, drawn, and as one page."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

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
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the results")
    args = parser.parse_args()
    begun = time.monotonic()
    study = run(args.traces, args.steps, target=args.target, seed=args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    figure = draw(study)
    figure.savefig(args.out / "load_balancing.png", dpi=150)
    write_page(args.out / "load_balancing.html", report(study, figure, seed=args.seed))
    print(f"{study.sentence}\n\n{study.table.round(3).to_string()}\n\n{told(study)}")
    print(
        f"\nWrote load_balancing.png and .html to {args.out}/ in {time.monotonic() - begun:.0f} s."
    )


def told(study: Study) -> str:
    """What a reader must know to read the table."""
    work, latency = study.floor
    floor = (
        f"The fitted slowdowns are off by {study.rate_error:.3g} %. The true system, with its own "
        f"off by as much, has roll-out errors of {work:.2g} % (work) and {latency:.2g} % "
        "(latency): the chaos floor, since one job sent elsewhere sends all later ones elsewhere."
    )
    if not study.random:
        return floor
    return (
        f"{study.target} draws at random, and its luck in the simulation is not that of the truth: "
        "roll-out errors mean nothing here, one-step error and bias do."
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
            Section("The answer", [picture, Table(study.table), told(study)]),
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
