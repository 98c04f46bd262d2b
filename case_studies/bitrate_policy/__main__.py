"""`python -m case_studies.bitrate_policy --out FOLDER`: the study, printed, drawn, and as JSON."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from case_studies.bitrate_policy.picture import draw
from case_studies.bitrate_policy.study import LEARNED, Study, run
from case_studies.bitrate_policy.training import Schedule
from causalsys.query.draws import Estimate
from causalsys.simulate.policies.streaming import LADDER


def main() -> None:
    """Run the study; write the picture and the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--recorded", action="store_true", help="capacities from recordings: CAUSALSYS_DATA"
    )
    parser.add_argument("--rounds", type=int, default=Schedule().rounds, help="of training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the results")
    args = parser.parse_args()
    begun = time.monotonic()
    study = run(
        seed=args.seed,
        real=args.recorded,
        schedule=Schedule(rounds=args.rounds),
    )
    args.out.mkdir(parents=True, exist_ok=True)
    draw(study).savefig(args.out / "bitrate_policy.png", dpi=150)
    written = json.dumps(as_json(study, seed=args.seed), indent=2)
    (args.out / "bitrate_policy.json").write_text(written + "\n")
    print(told(study))
    print(
        f"\nWrote bitrate_policy.png and .json to {args.out}/ in {time.monotonic() - begun:.0f} s."
    )


def told(study: Study) -> str:
    """The story."""
    paths = "recorded" if study.real else "synthetic"
    never = ", ".join(f"{LADDER[code]:g}" for code in study.never) or "none"
    return "\n".join(
        [
            study.sentence,
            f"Capacities are {paths}.",
            "\n1. Found. Share of states by bitrate; `best` is by counterfactual branches:",
            (100 * study.usage).round(1).to_string(),
            f"Never picked: {never} Mbit/s.",
            "\n2. Explained. What that costs per decision, discounted QoE [Mbit/s], 90 %:",
            *(f"  {name}: {lost}" for name, lost in study.lost.items()),
            f"Where:\n{study.slices}",
            "The greatest mean probability of a bitrate as one input takes any value, do(input):",
            study.reach.round(3).to_string(),
            "\n3. Repaired, and validated on traces that the learned policy had recorded:",
            *(f"  {name}: {_brief(fix)}" for name, fix in study.fixes.items()),
            "\n4. Guarded.",
            *(f"The {name} policy. {report}" for name, report in study.guards.items()),
            "\n5. What really came of it, mean QoE per chunk [Mbit/s]:",
            study.true.round(2).to_string(),
        ]
    )


def _brief(fix: Any) -> str:
    worse = f"{len(fix.worse)} of {len(fix.traces)} sessions get worse"
    doubt = "; beyond the data in part" if fix.extrapolates else ""
    return (
        f"QoE {fix.before.value:.2f} → {fix.after.value:.2f}, change {fix.effect}; {worse}{doubt}"
    )


def as_json(study: Study, *, seed: int) -> dict[str, Any]:
    """What the study found, as plain data."""
    return {
        "seed": seed,
        "capacities": "recorded" if study.real else "synthetic",
        "never": [LADDER[code] for code in study.never],
        "usage": {f"{rate:g}": row for rate, row in study.usage.T.to_dict().items()},
        "lost": {name: _estimate(lost) for name, lost in study.lost.items()},
        "slices": [str(each) for each in study.slices.slices],
        "reach": study.reach.T.to_dict(),
        "repair": {
            name: {
                "before": _estimate(fix.before),
                "after": _estimate(fix.after),
                "effect": _estimate(fix.effect),
                "worse": len(fix.worse),
                "sessions": len(fix.traces),
            }
            for name, fix in study.fixes.items()
        },
        "guard": {
            name: {
                "on": report.on,
                "trials": {
                    each.name: {
                        "policy": _estimate(each.policy),
                        "fallback": _estimate(each.fallback),
                        "guarded": _estimate(each.guarded),
                        "kept": _estimate(each.kept),
                        "lost": _estimate(each.lost),
                        "in_fallback": each.counters.share,
                        "rails": dict(each.counters.rails),
                    }
                    for each in (report.usual, *report.failing)
                },
            }
            for name, report in study.guards.items()
        },
        "true": study.true.T.to_dict(),
    }


def _estimate(given: Estimate | None) -> dict[str, float] | None:
    if given is None:
        return None
    return {"value": given.value, "low": given.low, "high": given.high, "level": given.level}


__all__ = ["LEARNED", "as_json", "main", "told"]

if __name__ == "__main__":
    main()
