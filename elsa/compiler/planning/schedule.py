"""From the program of a step to layers: the best schedule of those that can be planned.

Products are planned as the step forms them. `reassociate="gram"` distributes and regroups within an
iteration: every choice is planned, and the one with the fewest layers, then heads, then stored
entries, is taken.
"""

import contextlib
from collections.abc import Mapping
from typing import Literal

from elsa.compiler.planning.candidates import candidates
from elsa.compiler.planning.chains import bare
from elsa.compiler.planning.layers import Plan, Schedule
from elsa.compiler.planning.nested import Output, whole
from elsa.compiler.planning.polynomial import TooManyTermsError
from elsa.compiler.planning.residuals import MAX_COLUMNS, carry
from elsa.compiler.planning.scheduler import Candidate, LateStartError, NoTwinError, Scheduler, Step
from elsa.compiler.tracing.graph import Graph, Ref
from elsa.compiler.tracing.steps import Traced


def planned(traced: Traced, *, reassociate: bool | Literal["gram"]) -> Plan:
    """The best schedule found for a step, no layers where it is never applied.

    Args:
      reassociate: False plans products as the step forms them; True carries residuals as states
        where that saves layers; "gram" distributes and regroups products within an iteration.
    """
    graph = traced.graph
    inputs = {name: bare(graph.leaf(name, matrix)) for name, matrix in traced.shapes.items()}
    outputs = {name: inputs[name] for name in traced.outputs}
    schedule = _schedule(graph, traced.outputs, traced.depth, reassociate=reassociate)
    return Plan(schedule, inputs, outputs, graph.variants if schedule.depth else 1, reassociate)


def _schedule(
    graph: Graph, outputs: Mapping[str, Ref], depth: int, *, reassociate: bool | Literal["gram"]
) -> Schedule:
    states = {name: ref for name, ref in outputs.items() if ref != graph.leaf(name, ref.shape)}
    if depth == 0 or not states:
        return Schedule((), (), (), (), 0)
    step = Step(graph, states, {}, depth)
    best = _best(step, gram=reassociate == "gram")
    assert best is not None, "keeping every sum always has a schedule"
    while reassociate is True and depth > 1 and len(best.step) > 1:
        residuals = {
            assign.target.factors[0].node: None
            for assign in best.step[0]
            if assign.target.bare and assign.target.factors[0].node.kind == "add"
        }
        ways = []
        for columns in MAX_COLUMNS:
            now, new = carry(graph, step.states, residuals, columns)
            way = step._replace(states=now, starts={**step.starts, **new})
            carrying = _best(way, gram=False) if new else None
            if carrying is not None and carrying.num_layers < best.num_layers:
                ways.append((carrying, way))
        if not ways:
            break
        best, step = min(ways, key=lambda way: way[0].cost)
    return best


def _best(step: Step, *, gram: bool) -> Schedule | None:
    """The cheapest candidate; None where a residual is not there before the first step."""
    best: Schedule | None = None
    # What no step reads is computed once; where there is one step, whichever has fewer layers.
    when = (True, False) if step.depth == 1 else (True,)
    leaves = {name: step.graph.leaf(name, ref.shape).node for name, ref in step.states.items()}
    outputs: list[Output] = [
        (None if name in step.starts else leaves[name], ref) for name, ref in step.states.items()
    ]
    outputs += [(None, ref) for ref in step.starts.values()]
    for kept in candidates(outputs, leaves.values(), gram=gram):
        before = whole(step.states, kept)
        for late in when:
            with contextlib.suppress(TooManyTermsError, LateStartError):
                one = Candidate(kept | before, before, regroup=gram, late=late, turn=True)
                try:
                    schedule = Scheduler(step, one).run()
                except NoTwinError:
                    schedule = Scheduler(step, one._replace(turn=False)).run()
                best = schedule if best is None or schedule.cost < best.cost else best
        if best is not None and not gram:
            break
    return best
