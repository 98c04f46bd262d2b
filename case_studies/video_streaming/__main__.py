"""`python -m case_studies.video_streaming`: the study, printed, drawn, and as one page."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import causalsys as cs
from case_studies.video_streaming.picture import draw
from case_studies.video_streaming.study import Study, run
from case_studies.video_streaming.system import ARMS
from causalsys.report import Figure, Section, Table, page, write_page


def main() -> None:
    """Run the study; write the picture and the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", default="mpc", choices=ARMS, help="the arm that is left out")
    parser.add_argument("--traces", type=int, default=270)
    parser.add_argument("--steps", type=int, default=80, help="chunks in a trace")
    parser.add_argument(
        "--synthetic", action="store_true", help="synthetic capacities, even if there are real ones"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the results")
    args = parser.parse_args()
    begun = time.monotonic()
    study = run(
        args.traces,
        args.steps,
        target=args.target,
        real=False if args.synthetic else None,
        seed=args.seed,
    )
    args.out.mkdir(parents=True, exist_ok=True)
    figure = draw(study)
    figure.savefig(args.out / "video_streaming.png", dpi=150)
    write_page(args.out / "video_streaming.html", report(study, figure, seed=args.seed))
    paths = "recorded" if study.real else "synthetic (no recordings: CAUSALSYS_DATA)"
    print(f"{study.sentence}\n\nCapacities are {paths}.\n")
    print(f"{study.errors.round(3).to_string()}\n\n{study.choices.round(3).to_string()}\n")
    print(f"cs.tune: {study.tuned}")
    print(
        f"\nWrote video_streaming.png and .html to {args.out}/ in {time.monotonic() - begun:.0f} s."
    )


def report(study: Study, figure: object, *, seed: int) -> str:
    """The page."""
    picture = Figure(
        figure,  # type: ignore[arg-type]
        "Above: one session, the one on which ExpertSim's error is its median. Below, left: the "
        "errors over all sessions. Right: candidates of a search, promised QoE against true; on "
        "the line a promise is kept.",
    )
    return page(
        f"What would every session have been under {study.target}, and what should be live?",
        study.sentence,
        sections=[
            Section("The answer", [picture, Table(study.errors)]),
            Section(
                "What each simulator would have put live",
                [
                    "A buffer-based policy (BBA) has two parameters. Each simulator picks those of "
                    "the greatest QoE (bitrate, less 4.3 times the seconds of rebuffering, less "
                    "the change of bitrate; Mbit/s). `promised` is what it says of its choice, "
                    "`true` what the true system says on the same sessions, and then on new ones. "
                    "The row `truth` is the best of the candidates.",
                    Table(study.choices),
                    f"cs.tune: {study.tuned}",
                ],
            ),
            Section(
                "How it was answered",
                [
                    f"The model was fitted to {len(study.log)} chunks in "
                    f"{study.log['trace'].nunique()} sessions under {study.log['arm'].nunique()} "
                    f"policies; {study.target} was not among them. The capacity of a path is in no "
                    "column. ExpertSim replays the logged throughput, whatever the chunk's size; "
                    "SLSim is a network of two layers of 128 units that learns the download time "
                    "from what is logged.",
                    f"Verdict. {study.verdict}",
                ],
            ),
        ],
        provenance={
            "log": f"case_studies.video_streaming.system, seed {seed}",
            "capacities": "recorded" if study.real else "synthetic",
            "causalsys": cs.__version__,
            "command": "python -m case_studies.video_streaming "
            f"--target {study.target} --seed {seed}",
        },
    )


if __name__ == "__main__":
    main()
