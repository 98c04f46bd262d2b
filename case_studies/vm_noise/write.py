"""What goes into the JSON file."""

from __future__ import annotations

import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any

from case_studies.vm_noise.study import Study


def content(study: Study) -> dict[str, Any]:
    """The study as JSON: alarms, explanation, slices, latent, comparison, and notes."""
    return {
        "alarms": [
            {
                "date": str(alarm.label),
                "node": alarm.node,
                "kind": alarm.kind,
                "since": str(alarm.since_label),
            }
            for alarm in study.alarms
        ],
        "explanation": _explanation(study),
        "slices": _slices(study),
        "latent": [
            [
                {"VM_id": _plain(vm), "probability": float(chance)}
                for vm, chance in zip(group["VM_id"], group["probability"], strict=True)
            ]
            for group in study.groups.values()
        ],
        "comparison": [
            {
                "month": month,
                **{name: _number(value) for name, value in row.items()},
            }
            for month, row in study.comparison.to_dict("index").items()
        ],
        "labels": [
            {"VM_id": _plain(study.rows["VM_id"].iloc[row]), "day": float(day)}
            for row, day in zip(study.replay.bought, study.replay.at, strict=True)
        ],
        "notes": study.notes,
    }


def _explanation(study: Study) -> dict[str, Any] | None:
    found = study.explanation
    if found is None:
        return None
    return {
        "kind": found.kind,
        "rise": _number(found.rise.value),
        "chance": _number(found.chance),
        "parts": [
            {
                "kind": part.kind,
                "name": part.name,
                "value": _number(part.value),
                "low": _number(part.low),
                "high": _number(part.high),
                "share": _number(part.share),
                "told": part.told,
            }
            for part in found.parts
        ],
        "group": None if found.group is None else str(found.group),
        "notes": list(found.notes),
        "assumptions": list(found.assumptions),
    }


def _slices(study: Study) -> list[dict[str, Any]]:
    if study.slices is None:
        return []
    return [
        {
            "slice": str(each),
            "verdict": each.verdict,
            "inside": _number(each.slice.inside),
            "outside": _number(each.slice.outside),
            "share": _number(each.slice.share),
            "effect": _number(each.slice.effect),
            "p": _number(each.slice.p),
            "caused": _number(each.caused),
            "reason": each.reason,
        }
        for each in study.slices.slices
    ]


def write(path: Path, told: dict[str, Any]) -> None:
    """All of it or nothing: a reader never sees half a file."""
    text = json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        umask = os.umask(0)
        os.umask(umask)
        Path(name).chmod(0o666 & ~umask)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
