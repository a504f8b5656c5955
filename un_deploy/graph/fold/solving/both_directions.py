"""The better solution of both directions, and why a norm stays in either."""

from __future__ import annotations

from collections.abc import Mapping

from un_deploy.graph.fold.graph_view import GraphView
from un_deploy.graph.fold.site import Site
from un_deploy.graph.fold.solving.solve import Solution, solve


def best_solution(
    view: GraphView, *, scale_alone: bool = False
) -> tuple[Solution, dict[str, Solution]]:
    """The solution in the better direction (forward when equal), and those tried, by direction.

    Args:
        view: the graph.
        scale_alone: see `solve`.
    """
    forward = solve(view, "forward", scale_alone=scale_alone)
    if len(forward.assignment.vanished) == len(view.sites):
        return forward, {"forward": forward}
    backward = solve(view, "backward", scale_alone=scale_alone)
    best = backward if backward.cost < forward.cost else forward
    return best, {"forward": forward, "backward": backward}


def why_it_stays(site: Site, tried: Mapping[str, Solution]) -> str:
    """Why a site stays; of its scale alone only what has not been said."""
    if site.stays:
        return site.stays
    told: list[str] = []
    said: set[str] = set()
    for name, solution in tried.items():
        reason = solution.refusals.get(site)
        if reason and not (name.startswith("its scale") and reason in said):
            told.append(f"{name}: {reason}")
            said.add(reason)
    return "; ".join(told)
