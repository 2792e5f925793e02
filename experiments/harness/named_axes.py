"""Axes whose places are names, as those of columns, brought into one order for several runs."""

from elsa.report.charts import Chart

_BESIDE = "  "  # between a name and a number that is said with it


def align(held: Chart, panel: Chart, side: str) -> None:
    """Gives equal names equal places, where both panels have names along an axis.

    Numbers said with the names are left out where they differ; names that only the second panel
    has follow the others.

    Args:
      held: of the first runs; may get more names.
      panel: of another run; its curves are moved to the places of `held`.
      side: "x" or "y".
    """
    one, other = held[side], panel[side]
    if one["ticks"] == other["ticks"] or not (_is_named(one) and _is_named(other)):
        return
    texts = {_name(text): text for _, text in one["ticks"]}
    places = {_name(text): place for place, text in one["ticks"]}
    moved: dict[float, float] = {}
    for place, text in other["ticks"]:
        name = _name(text)
        texts[name] = text if texts.get(name, text) == text else name
        moved[place] = places.setdefault(name, max(places.values()) + 1.0)
    one["ticks"] = [[place, texts[name]] for name, place in places.items()]
    one["range"] = [one["range"][0], max(one["range"][1], max(places.values()) + 0.7)]
    panel[side] = one
    for series in panel["series"]:
        if side not in series["fraction"]:
            series[side] = [moved.get(value, value) for value in series[side]]


def title(panel: Chart, text: str) -> str:
    """A panel's title, without what it says of numbers beside names where they are left out."""
    ticks = [panel[side]["ticks"] for side in ("x", "y") if _is_named(panel[side])]
    is_beside = any(_BESIDE in said for axis in ticks for _, said in axis)
    return text if is_beside or not ticks else _name(text)


def _is_named(axis: Chart) -> bool:
    """Whether places 0, 1, .. stand for names."""
    ticks = axis["ticks"] or []
    in_order = [place for place, _ in ticks] == [float(place) for place in range(len(ticks))]
    return bool(axis.get("named")) and in_order  # pages from before the field name no axis


def _name(text: str) -> str:
    return text.split(_BESIDE)[0].rstrip()
