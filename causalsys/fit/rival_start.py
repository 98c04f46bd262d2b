"""Where the search for rivals sets out from: latents that are something else.

Down the gradient from the fitted model, a rival comes no further than the likelihood's ridge
leads. So each latent is also taken to be mostly what one variable's noise is, or a mixture, and
the mechanisms are taught by those values of it; from there the search goes on.
"""

from __future__ import annotations

import torch
from torch import Tensor

from causalsys.fit.rival import Part
from causalsys.fit.rival_nodes import Nodes
from causalsys.mechanisms.additive import Additive
from causalsys.scm.declaration import Node

_LEAST, _MOST = 0.8, 0.97
"""How much of a latent is told by the variables' noises: the correlation."""
_BESIDE = 0.25
_TURNED = 0.3
"""How often a noise counts with the sign that a cause of its variable has."""


def supposed(part: Part, count: int, *, generator: torch.Generator) -> Nodes:
    """Values of a part's continuous latents, another supposition for each of `count` starts."""
    variables = [n for n in part.scope.nodes if n.kind != "latent" and n.function is None]
    scores = _scores(part, variables, generator)
    rows = scores.shape[-1]
    found = []
    for name, size in part.continuous:
        acted_on = torch.tensor([_acts(part, name, node) for node in variables])
        for _ in range(size):
            mixture = _BESIDE * torch.randn(count, len(variables), generator=generator)
            main = torch.randint(int(acted_on.sum()), (count,), generator=generator)
            mixture[torch.arange(count), acted_on.nonzero()[main, 0]] += 1.0
            mixture = (mixture * acted_on).double()
            mixture = mixture / mixture.norm(dim=-1, keepdim=True)
            turned = torch.rand(count, generator=generator) < _TURNED
            signed = torch.where(turned[:, None, None], scores[1], scores[0])
            told = torch.einsum("sv,svr->sr", mixture, signed)
            share = torch.rand(count, 1, generator=generator, dtype=torch.float64)
            share = _LEAST + (_MOST - _LEAST) * share
            rest = torch.randn(count, rows, generator=generator, dtype=torch.float64)
            found.append(share * told + (1 - share**2).sqrt() * rest)
    noise = torch.stack(found, -1).unsqueeze(0)
    return Nodes(noise, torch.zeros(noise.shape[:3], dtype=torch.float64))


def _scores(part: Part, variables: list[Node], generator: torch.Generator) -> Tensor:
    """Normal scores of each variable given its observed causes and the variables before it.

    Returns:
        `[2, variable, row]`: as they are, and with the sign of a cause.
    """
    values = part.at_rest()
    plain: list[Tensor] = []
    signed: list[Tensor] = []
    for node in variables:
        mechanism, known = part.scope.mechanisms[node.name], part.scope.known[node.name]
        parents = part.scope.parents(node, values)
        columns = None
        rest = known.double().flatten(2).sum(-1) if known.dim() > 2 else known.double()
        if isinstance(mechanism, Additive):
            rest = mechanism.line(known) - mechanism.location(parents)
            columns = mechanism.columns(parents)
        rows = rest.shape[-1]
        design = torch.ones(rows, 1, dtype=torch.float64)
        if columns is not None:
            design = torch.cat([design, columns.expand(1, rows, -1)[0]], -1)
        full = torch.cat([design, *(score.unsqueeze(-1) for score in plain)], -1)
        solution = torch.linalg.lstsq(full, rest[0].unsqueeze(-1), driver="gelsd").solution
        left = rest[0] - (full @ solution)[:, 0]
        rank = left.argsort().argsort().double()
        score = torch.special.ndtri((rank + 0.5) / rows)
        plain.append(score)
        way = torch.randn(design.shape[1], 1, generator=generator, dtype=torch.float64)
        side = (design @ way)[:, 0]
        signed.append(score * torch.where(side > side.median(), 1.0, -1.0))
    return torch.stack([torch.stack(plain), torch.stack(signed)])


def _acts(part: Part, latent: str, node: Node) -> bool:
    """Whether a latent may act on a variable; by an equation too, whichever it is."""
    computed = {n.name for n in part.scope.nodes if n.function is not None}
    return any(ref.name == latent or ref.name in computed for ref in node.parents)
