"""A system of microservices, from its call graph and its metrics.

    system = Microservices.of(calls, normal)        # edges (caller, callee), and raw metrics
    fitted = system.fit(normal)
    cs.root_cause(fitted, system.table(incident), target=system.variable("frontend", "latency"))

**Metrics.** A pandas frame, one row per step (a scrape interval). Columns are a MultiIndex
(service, metric) or (service, metric, statistic), in any order; or flat names such as
`carts-db_latency-90`, `frontend.latency.p99`, `payment|requests`, `latency_p99{service="pay"}`;
or a long table (service, metric, value, time). Words for requests, latency, errors, availability,
cpu and memory are recognised (`vocabulary.py`); any other metric is a resource under its own name.

**Variables** are named `service/kind`, and belong to the component `service`:

    requests   in the step; those of an entry are the component "load"
    latency    seconds of the step: mean latency × requests. Zero where there was no request;
               missing where requests or, with requests, the latency are
    errors     failed requests of the step: a count, or (1 - availability) × requests
    cpu, ...   as they are
    waiting    requests that wait for a busy processor, by an equation (`queueing.py`); no column

Means forget how many requests they are of, totals add up along calls. Without requests, latency
and errors stay what they are per request.

**Graph.** Requests flow down the calls, seconds and errors flow up them: the causal graph of the
latter is the reversed call graph. Within a service, requests cause cpu and other use, errors and
seconds, and use causes seconds. What a service lacks is bridged: its callees reach its callers.

**Slopes.** All mechanisms are linear on the real line, whatever the support: an incident lies far
outside the normal range, and a straight line goes on as totals do. A callee's seconds enter its
caller's with a slope in [0, 1]; what data do not show keeps that prior (`priors.py`).

**Special cases**, each told in `system.notes`:

- Services that call each other are one component, named "a + b". Within a step their influence
  runs both ways and cannot be told apart; their variables are factorised along their depth.
- A service without any metric is a latent behind its callers' seconds, and one behind their errors
  (`system.hidden`); not behind those that never moved, from which none can be learned.
- A client's view of a service, which tracing shows as a leaf of its own, is an effect of the
  service (`system.twins`): service → view → caller.
- `hosts` adds a latent per host behind the latency and the cpu of its services, `latents=True` one
  per service (Gan et al., Sage, ASPLOS 2021). Their fits take longer: a second or two for a host.
- A service that is not in the call graph is on its own; without a call graph, all are, and each
  statistic of a latency is a variable.
- A column of which less than a fifth is seen is left out, and gaps of up to a twentieth are filled
  for the fit (`gaps.py`). Constant columns stay: errors that never were may come.

Example:
    >>> import pandas as pd
    >>> normal = pd.DataFrame(
    ...     {
    ...         "shop_requests": [100, 120, 80, 110],
    ...         "shop_latency": [0.30, 0.31, 0.29, 0.30],
    ...         "cart_requests": [50, 60, 40, 55],
    ...         "cart_latency": [0.20, 0.22, 0.19, 0.20],
    ...     }
    ... )
    >>> system = Microservices.of([("shop", "cart")], normal)
    >>> system.model.graph.parents("shop/latency")
    ('cart/latency', 'shop/requests')
    >>> system.table(normal)["cart/latency"].round(1).tolist()
    [10.0, 13.2, 7.6, 11.0]
"""

from models.microservices.system import Microservices

__all__ = ["Microservices"]
