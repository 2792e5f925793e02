"""What must hold of measured risks, whether it does, and the table that says so."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

_SURE = 2.0  # standard errors


@dataclasses.dataclass(frozen=True)
class Claim:
    """That a measured share stays at or below a bound.

    Attributes:
      name: what is claimed, and of what.
      measured, bound: the share, and the most that it may be.
      error: standard error of the measured one.
    """

    name: str
    measured: float
    bound: float
    error: float

    @property
    def verdict(self) -> str:
        """ "holds"; "in doubt" where the bound is exceeded by less than two standard errors; or
        "fails"."""
        if self.measured <= self.bound:
            return "holds"
        return "in doubt" if self.measured - _SURE * self.error <= self.bound else "fails"

    def to_dict(self) -> dict[str, Any]:
        """Its numbers and the verdict, for summary.json."""
        return {**dataclasses.asdict(self), "verdict": self.verdict}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "Claim":
        """The claim of `to_dict`."""
        return cls(**{field.name: stored[field.name] for field in dataclasses.fields(cls)})


def table(claims: Sequence[Claim]) -> "Table":
    """One row a claim; the caption counts those that hold."""
    from rich.table import Table

    hold = sum(claim.verdict == "holds" for claim in claims)
    made = Table(
        *("claim", "measured", "at most", "± s.e.", "verdict"),
        title="what theory says of these risks",
        caption=f"{hold} of {len(claims)} hold; in doubt: above by less than {_SURE:.0f} standard "
        "errors of the prompts",
        title_justify="left",
        caption_justify="left",
    )
    for claim in claims:
        numbers = (claim.measured, claim.bound, claim.error)
        made.add_row(claim.name, *(f"{100 * number:+.2f} %" for number in numbers), claim.verdict)
    return made
