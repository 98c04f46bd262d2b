"""`python -m case_studies.vm_noise [DATA_FILE] --out FILE`: the study, as JSON, words, pictures."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from case_studies.json_file import check_writable, write
from case_studies.vm_noise.content import content
from case_studies.vm_noise.picture import draw
from case_studies.vm_noise.read import checked, read
from case_studies.vm_noise.study import BUDGET, run
from case_studies.vm_noise.twin import generate
from case_studies.vm_noise.words import told
from causalsys.errors import CausalSysError


def main(arguments: list[str] | None = None) -> int:
    """Run the study; 0 when done, 2 when the input cannot be used."""
    args = _parser().parse_args(arguments)
    begun = time.monotonic()
    try:
        check_writable(args.out)
        if args.data is None:
            rows, about = checked(generate(args.rows, seed=args.seed)[0]), "A generated twin."
        else:
            rows, about = read(args.data), args.data.name
        study = run(rows, budget=args.budget, seed=args.seed)
        write(args.out, content(study))
        picture = args.out.with_suffix(".png")
        draw(study).savefig(picture, dpi=150)
    except (CausalSysError, OSError) as error:
        print(f"vm_noise: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    print(f"{about}\n\n{told(study)}")
    print(f"\nWrote {args.out} and {picture} in {time.monotonic() - begun:.0f} s.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m case_studies.vm_noise", description=__doc__)
    parser.add_argument(
        "data",
        type=Path,
        nargs="?",
        help="a file of the published format, parquet or CSV; without it a generated twin",
    )
    parser.add_argument("--out", type=Path, required=True, help="JSON; the picture lies beside it")
    parser.add_argument("--budget", type=int, default=BUDGET, help="labels after the alarm")
    parser.add_argument("--rows", type=int, default=11_800, help="machines of the twin")
    parser.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    sys.exit(main())
