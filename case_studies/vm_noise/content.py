"""What goes into the JSON file."""

from __future__ import annotations

from typing import Any

from case_studies.json_file import number
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
                **{name: number(value) for name, value in row.items()},
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
        "rise": number(found.rise.value),
        "chance": number(found.chance),
        "parts": [
            {
                "kind": part.kind,
                "name": part.name,
                "value": number(part.value),
                "low": number(part.low),
                "high": number(part.high),
                "share": number(part.share),
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
            "inside": number(each.slice.inside),
            "outside": number(each.slice.outside),
            "share": number(each.slice.share),
            "effect": number(each.slice.effect),
            "p": number(each.slice.p),
            "caused": number(each.caused),
            "reason": each.reason,
        }
        for each in study.slices.slices
    ]


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
