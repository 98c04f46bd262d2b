"""An explanation in words: what each part means, and on what it rests."""

from __future__ import annotations

from collections.abc import Sequence

from causalsys.audit.explain_old import Told

ASSUMPTIONS = (
    "The rows before are not those that the predictor was trained on.",
    "The mix is exchanged before the target's law: a rise that needs both is the law's.",
    "The target's law given its causes is learned from the rows before; where the rows after lie "
    "beyond them it is extrapolated by the model.",
    "Membership of a group is inferred from the target itself: it is not known.",
)
_FEW = 30
"""Old rows that must be worth something at the new mix."""


def told_of(word: str, names: Sequence[str]) -> str:
    """What a part means, in a sentence."""
    listed = ", ".join(names)
    if word == "mix":
        if not names:
            return ""
        return f"Mix: {listed} moved to where the predictor errs more or less."
    sentences = {
        "not read": f"Missing feature: {listed} moved, which drives the target and is not read.",
        "mechanism": f"Mechanism: {listed} follows its causes in another way than before.",
        "stuck": f"Missing feature: {listed} is stuck, while its true value drives the target.",
        "latent group": f"Latent group: {listed} follows another law in some rows.",
        "label noise": f"Label noise: {listed} scatters more, and is as before on average.",
    }
    return sentences.get(word, "") if names else ""


def notes_of(
    old: Told, optimism: float, rows: int, law: str, wrong: bool | None
) -> tuple[str, ...]:
    """What a reader should know of this answer."""
    notes = [
        f"The {rows} rows before are worth {old.effective:.0f} at the mix after; the target's mean "
        f"is told by: {old.family}."
    ]
    if old.effective < _FEW:
        notes.append("That is few: the mix's part rests on extrapolation.")
    if optimism < -4:
        notes.append(
            "The errors before are smaller than the target's noise allows: were these rows used "
            "for training? Then the rise is partly that they were."
        )
    if law == "wider" and wrong is None:
        notes.append(
            "Wrong labels and a noisier mechanism cannot be told apart without an effect of the "
            "target or a second measurement of it."
        )
    if wrong:
        notes.append("The target's logged effects do not follow what its labels show.")
    if law == "wider" and wrong is False:
        notes.append("The target's logged effects follow it: its noise is real.")
    return tuple(notes)


__all__ = ["ASSUMPTIONS", "notes_of", "told_of"]
