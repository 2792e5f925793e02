"""What a diagnosis says."""

import dataclasses
from collections.abc import Mapping

import numpy as np


def digits(value: float) -> str:
    """A number in 4 digits, and more where it is near 1, so that it does not read as 1."""
    off = abs(abs(value) - 1.0)
    plain = off >= 1e-3 or off < 1e-12  # the second is rounding
    return f"{value:.{4 if plain else 3 - int(np.floor(np.log10(off)))}g}"


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """What `diagnose` finds; printed, one sentence.

    kind: "sound"; "skip", the skip is no identity; "block", a head reads or writes the wrong block,
      rows or channels; "lambda", the same of the regulariser; "sign" and "scale", of one head;
      "step size", outside the interval in which an error shrinks; "weights", other departures of
      one head; "drift", most heads have moved a little; "rounding", the weights are sound ones
      rounded to float32, or the precision is lost on these blocks; "unexplained", the outputs are
      others, and no change of one head mends that.
    layer: of `num_layers`, the number at which the weights run first; None where it is no layer's.
    head: its number in that layer; None where it is no head's.
    sentence: why, in words.
    measured: name -> number.
    """

    kind: str
    layer: int | None
    head: int | None
    sentence: str
    measured: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def is_sound(self) -> bool:
        """Whether nothing was found."""
        return self.kind == "sound"

    def __str__(self) -> str:
        numbers = ", ".join(f"{name} {digits(value)}" for name, value in self.measured.items())
        return f"{self.kind}: {self.sentence}" + (f" ({numbers})" if numbers else "")
