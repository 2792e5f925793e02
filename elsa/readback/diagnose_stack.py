"""What is wrong with a stack: the first layer and head that departs from a step, and why."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from elsa.base import checks
from elsa.base.arrays import AnyShape
from elsa.nn import inside
from elsa.nn.block_stack import BlockStack
from elsa.readback import diagnose_drift, diagnose_growth
from elsa.readback.diagnose_departures import Departure, first_departure, first_run
from elsa.readback.diagnose_heads import ALIGNED, REGULARISERS, Fault, scaled, tensors
from elsa.readback.diagnose_layers import Program, program
from elsa.readback.diagnose_reference import (
    TIED_ROUNDS,
    Probe,
    Step,
    differs,
    outputs,
    probe,
)
from elsa.readback.diagnose_repairs import common_ratio, repaired
from elsa.readback.diagnose_result import Diagnosis, digits
from elsa.readback.diagnose_sound import sound_program
from elsa.readback.diagnose_words import formula, names_of

_GROWS = 1.0 + 1e-3  # above which an error counts as growing
_LOST = 1e-2  # error of a result in its own precision that is worth a word


def diagnose(
    stack: BlockStack, step: Step | BlockStack | None = None, /, **blocks: AnyShape
) -> Diagnosis:
    """The first layer and head of a stack that departs from a step, and why, in words.

    The layers run in float64 on blocks that are drawn, and on those given; what they return after
    each step is compared with the step itself. Where the stack was built with weights that do what
    the step does, or `step` is a sound stack, or the step compiles to layers of the same shapes,
    every layer is compared with the sound one on the same prompt. Heads are compared by what they
    add, so that neither their order nor their inner basis matters, and then by the rows and
    channels that they read and write. Where no sound weights are known, the one change of a head's
    sign, scale or place is searched that mends the outputs.

    Whether the step size is admissible depends on the data: it is looked at where all blocks are
    given, or the stack knows its step size. An error of the state then grows by
    max |1 - eta mu| a step, mu the eigenvalues of the problem (Nesterov, Introductory Lectures on
    Convex Optimization (2004), Theorem 2.1.15).

    Args:
      stack: weights of any origin between named blocks: constructed, compiled, loaded, edited.
      step: what one step should do, as `elsa.compile` takes it; or a sound stack; or None for what
        the stack itself is compared with by `verify`.
      blocks: of a call, all or some.

    Raises:
      TypeError: for what is no stack or no step; where step is None, for a stack that has no
        reference.
      ValueError: for a step of other blocks, a sound stack of other layers, bad values of a block,
        dense weights too large to be made.
      KeyError: for a block that the stack does not take.
    """
    checks.instance("diagnose", BlockStack, "a stack with named blocks", stack=stack)
    if step is not None and not isinstance(step, BlockStack) and not callable(step):
        raise TypeError(f"diagnose: step must be a function or a stack, got {step!r}")
    checks.known_names("diagnose", "block", blocks, stack.inputs)
    checks.finite("diagnose", **blocks)
    stack.require_weights("diagnose")
    layers = inside.layers_of(stack.stack)
    if not all(layers):
        raise TypeError(
            f"diagnose: the layers of {stack.name} must be LSA or ELSA layers, whose weights are "
            "arrays of heads"
        )
    with np.errstate(all="ignore"):  # what diverges overflows
        return _Question(stack, step, blocks, program(stack.stack, layers)).answer()


class _Question:
    """A stack, what it should do, the blocks given, and its layers."""

    def __init__(
        self,
        stack: BlockStack,
        step: Step | BlockStack | None,
        blocks: Mapping[str, AnyShape],
        found: Program,
    ) -> None:
        self.stack, self.step, self.blocks, self.found = stack, step, blocks, found
        self.names = names_of(stack)
        asked: list[Mapping[str, AnyShape]] = [{}, {}, *([blocks] if blocks else [])]
        keys = map(jax.random.key, range(len(asked)))
        drawn = [inside.drawn_blocks(stack, k, b) for k, b in zip(keys, asked, strict=True)]
        self.probes = [probe(stack, step, blocks) for blocks in drawn]

    def answer(self) -> Diagnosis:
        """The diagnosis: weights first, then the step size, then rounding."""
        broken = _not_finite(self.found)
        if broken is not None:
            return self._of(broken)
        sound = sound_program(self.stack, self.step, self.found, self.probes)
        if sound is None:
            fails = differs(self.stack, self.found, self.probes)
            departs = self._unlike_the_step()
            if departs is None and self._almost():
                words = "the outputs are the step's but for rounding, as that of weights to float32"
                return Diagnosis("rounding", None, None, words, {})
        else:
            self.probes = [self._as_by(sound, one) for one in self.probes]
            fails = differs(self.stack, self.found, self.probes)
            lost = diagnose_drift.rounded(self.found, sound, self.probes, _rounds(self.found))
            if fails is not None and lost is not None:
                return self._rounded(lost)
            departs = self._departure(sound) if fails is not None else None
        if departs is not None:
            return self._of(self._as_step_size(departs))
        return self._unexplained(*fails) if fails is not None else self._on_the_data()

    def _as_by(self, sound: Program, one: Probe) -> Probe:
        """The probe with all outputs of a sound stack as those wanted."""
        steps = one.wanted or {_rounds(self.found): {}}
        wanted = outputs(self.stack, sound, dataclasses.replace(one, wanted=steps))
        return dataclasses.replace(one, wanted=wanted)

    def _departure(self, sound: Program) -> Departure | None:
        drift = diagnose_drift.drifted(self.found, sound)
        if drift is not None:
            return drift
        return first_departure(
            self.found,
            sound,
            self.probes,
            rounds=_rounds(self.found),
            eps=float(np.finfo(self.stack.dtype).eps),
            names=self.names,
        )

    def _unlike_the_step(self) -> Departure | None:
        """The head that departs from the step where no sound weights are known."""
        silent = self._silent()
        if silent is not None:
            return silent
        ratio = common_ratio(self.stack, self.found, self.probes)
        if ratio is not None and abs(ratio - 1.0) > ALIGNED:
            return self._first_writer(scaled(ratio))
        return repaired(self.stack, self.found, self.probes, self.names)

    def _silent(self) -> Departure | None:
        """A block that no output depends on, and the head that adds nothing for it."""
        one = self.probes[0]
        for name, value in one.given.items():
            other = inside.given_blocks(self.stack, {**one.given, name: 1.5 * value + 0.5})
            prompt = np.asarray(inside.packed_prompt(self.stack, other), np.float64)
            moved = dataclasses.replace(one, given=other, prompt=prompt)
            before, after = (outputs(self.stack, self.found, p) for p in (one, moved))
            still = all(
                np.array_equal(before[step][key], after[step][key])
                for step, read in before.items()
                for key in read
            )
            if still:
                kind = "lambda" if name in REGULARISERS else "block"
                box = self.stack.layout.box(name) if name in self.stack.layout else None
                where = "" if box is None else f", in {self.names.words_of(box)}"
                words = f"adds nothing: no head reads the block {name!r}{where}"
                return self._idle(Fault(kind, words, {}))
        return None

    def _idle(self, fault: Fault) -> Departure | None:
        """The first head that has weights and adds nothing to any prompt."""
        h = self.probes[0].prompt
        idle: dict[tuple[int, int], bool] = {}
        for number, layer in self.found.order(_rounds(self.found)):
            first = first_run(self.found, number)
            for head, added in enumerate(layer.contributions(h)):
                used = bool(added.any()) or not any(m.any() for m in layer.head(head))
                idle[first, head] = idle.get((first, head), True) and not used
            h = self.found.after([layer], h)
        place = next((place for place, silent in idle.items() if silent), None)
        if place is None:
            return None
        number, head = place
        empty = not all(np.any(m) for m in tensors(self.found.at(number).head(head)))
        return Departure(number, head, scaled(0.0) if empty else fault)

    def _first_writer(self, fault: Fault) -> Departure | None:
        """The head that adds most to outputs that a step updates, of the first layer that does."""
        h = self.found.after(self.found.prologue, self.probes[-1].prompt)
        boxes = [self.stack.readout.box(n) for n in self.stack.outputs if n in self.stack.inputs]
        skips = 0 if self.found.residual else 1
        first = len(self.found.prologue)
        for number, layer in enumerate(self.found.step(0) if self.found.depth else (), first):
            added = layer.contributions(h)
            written = [added[:, b.row : b.rows.stop, b.col : b.channels.stop] for b in boxes]
            sizes = sum((np.abs(part).sum((1, 2)) for part in written), np.zeros(len(added)))
            sizes = sizes[: layer.num_heads - skips]
            if sizes.any():
                return Departure(number, int(sizes.argmax()), fault)
            h = self.found.after([layer], h)
        return None

    def _as_step_size(self, departs: Departure) -> Departure:
        """A common factor above 1 by which errors grow is a step size that is too large."""
        if departs.fault.kind != "scale":
            return departs
        ratio, data = common_ratio(self.stack, self.found, self.probes), self._data()
        if ratio is None or ratio <= 1.0 or data is None:
            return departs
        grows = diagnose_growth.growth(self.stack, self.found, data)
        return departs if grows is None or grows <= _GROWS else self._too_large(departs, grows)

    def _too_large(self, departs: Departure, grows: float) -> Departure:
        ratio = departs.fault.measured.get("scale")
        more = "" if ratio is None else f"is {digits(ratio)} times what it should be, and "
        words = (
            f"{more}takes too large a step: on this data an error grows {grows:.4g} times a step, "
            f"so that the step size times the largest eigenvalue is {1.0 + grows:.4g}, and it "
            f"must be below 2; at most {2.0 / (1.0 + grows):.4g} times this step size is admissible"
        )
        measured = {"growth": grows, "step size times largest eigenvalue": 1.0 + grows}
        return departs._replace(fault=Fault("step size", words, measured))

    def _data(self) -> Mapping[str, Any] | None:
        """Blocks on which a step size may be judged; None where there are none."""
        if inside.is_complete(self.stack, self.blocks):
            return self.blocks
        if hasattr(self.stack, "step_size"):  # its draws are those on which it converges
            return inside.drawn_blocks(self.stack, jax.random.key(0), self.blocks)
        return None

    def _on_the_data(self) -> Diagnosis:
        """Weights are sound: the step size and the precision on the blocks given."""
        data = self._data()
        if data is not None:
            grows = diagnose_growth.growth(self.stack, self.found, data)
            writer = self._first_writer(scaled(1.0)) if grows is not None else None
            if grows is not None and writer is not None and grows > _GROWS:
                writer = writer._replace(fault=Fault("step size", "", {}))
                return self._of(self._too_large(writer, grows))
            lost = diagnose_growth.rounding(self.stack, self.found, data)
            if lost > _LOST:
                words = (
                    f"the weights are sound, but on this data {self.stack.dtype} loses the result: "
                    f"its largest relative error against float64 is {lost:.3g}"
                )
                return Diagnosis("rounding", None, None, words, {"error": lost})
        return Diagnosis(
            "sound", None, None, f"{self.stack.name} does what the step does{self._but()}"
        )

    def _almost(self) -> bool:
        """Whether the outputs are right but for about the rounding of weights to float32."""
        noise = float(np.finfo(np.float32).eps) / 30.0
        return differs(self.stack, self.found, self.probes, noise=noise) is None

    def _rounded(self, lost: Mapping[str, float]) -> Diagnosis:
        words = (
            f"the weights are sound but for rounding, as that to float32: what a layer of "
            f"{self.stack.name} adds is off by at most {lost['error']:.3g} of its size"
        )
        return Diagnosis("rounding", None, None, words, lost)

    def _but(self) -> str:
        """The outputs that were compared with nothing."""
        known = {name for one in self.probes for read in one.wanted.values() for name in read}
        rest = [name for name in self.stack.outputs if known and name not in known]
        return f"; it does not say what {rest} should be" if rest else ""

    def _unexplained(self, step: int, name: str) -> Diagnosis:
        words = f"{name!r} is not what it should be after step {step}, and no change of one head "
        last = max(len(self.found.prologue) + step * self.found.period - 1, 0)
        return Diagnosis("unexplained", last, None, words + "mends it", {})

    def _of(self, departs: Departure) -> Diagnosis:
        layer, head, fault, in_place = departs
        if fault.kind == "drift":  # of no one head
            return Diagnosis(fault.kind, None, None, fault.words, dict(fault.measured))
        said = formula(self.stack, layer, head) if in_place else ""
        title = f"head {head} of layer {layer}" + (f", {said!r}," if said else "")
        return Diagnosis(fault.kind, layer, head, f"{title} {fault.words}", dict(fault.measured))


def _rounds(found: Program) -> int:
    """Steps that are looked at: all where each has its weights."""
    return min(found.depth, TIED_ROUNDS) if found.tied else found.depth


def _not_finite(found: Program) -> Departure | None:
    """The first head with NaN or infinity."""
    for number, layer in found.distinct():
        for head in range(layer.num_heads):
            if not all(np.isfinite(array).all() for array in layer.head(head)):
                return Departure(number, head, Fault("weights", "holds NaN or infinity", {}))
    return None
