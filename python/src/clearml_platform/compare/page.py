"""A comparison as a page that needs nothing else: no server, no network, no other file."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from clearml_platform.compare.experiment import DETAILED, MACHINE, Comparison, smaller_is_better
from clearml_platform.compare.filters import number
from clearml_platform.compare.table import BESIDE, Section, listed, same_text

# Colours that people with any colour vision tell apart (Okabe and Ito), then again with dashes.
COLOURS = "#0072b2 #d55e00 #009e73 #cc79a7 #e69f00 #56b4e9 #000000 #8c6d00".split()
DASHES = "solid dash dot dashdot".split()
# Values of a parameter that is text, as places on an axis: more would be a black bar.
MOST_WORDS = 30


def html(comparison: Comparison, sections: Sequence[Section], titles: Sequence[str], metrics: Sequence[str]) -> str:
    """Return the page: tables, curves, and of several experiments what their parameters have to do with a metric.

    Args:
        comparison: What is compared.
        sections: What the tables say.
        titles: The names of the experiments.
        metrics: The metrics of which to show plots.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from plotly.offline import get_plotlyjs

    room = Environment(
        loader=PackageLoader("clearml_platform.compare", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    alone = len(comparison.tasks) == 1
    return room.get_template("page.html.j2").render(
        comparison=comparison,
        title=titles[0] if alone else f"{len(titles)} {comparison.kind}s",
        titles=titles,
        sections=sections,
        same_text=same_text,
        is_link=_is_link,
        rows=None if len(titles) <= BESIDE else listed(sections),
        made=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        alone=alone,
        drawn=min(len(titles), DETAILED),
        plotly=get_plotlyjs(),
        data=_data(comparison, titles, metrics),
    )


def _is_link(address: str) -> bool:
    """Whether a click may open an address: experiments can name any, such as one that is a script."""
    return address.startswith(("http://", "https://"))


def _data(comparison: Comparison, titles: Sequence[str], metrics: Sequence[str]) -> dict[str, Any]:
    tasks = comparison.tasks
    place = {task.id: index for index, task in enumerate(tasks)}
    lines = [
        {"color": COLOURS[index % len(COLOURS)], "dash": DASHES[index // len(COLOURS) % len(DASHES)]}
        for index in range(len(tasks))
    ]
    return {
        "titles": list(titles),
        "lines": lines,
        "curves": [
            {
                "name": name,
                "lines": [
                    {"task": place[task], "x": list(curve.iterations), "y": list(curve.values)}
                    for task, curve in sorted(comparison.curves[name].items(), key=lambda item: place[item[0]])
                ],
            }
            for name in sorted(comparison.curves)
            if name in metrics or not name.startswith(MACHINE)
        ],
        "metrics": [
            {
                "name": name,
                "smaller": smaller_is_better(name),
                "values": [task.metrics[name].last if name in task.metrics else None for task in tasks],
            }
            for name in metrics
        ],
        "parameters": [_parameter(comparison, name) for name in _plotted(comparison)],
    }


def _plotted(comparison: Comparison) -> list[str]:
    """Return the parameters that differ, and that an axis can show."""
    plotted = []
    for name in comparison.parameters:
        values = {task.parameters.get(name) for task in comparison.tasks}
        if len(values) > 1 and (_numbers(comparison, name) or len(values) <= MOST_WORDS):
            plotted.append(name)
    return plotted


def _numbers(comparison: Comparison, name: str) -> list[float | None] | None:
    """Return the values of a parameter as numbers, None when one of them is none."""
    values = [task.parameters.get(name) for task in comparison.tasks]
    numbers = [None if value is None else number(value) for value in values]
    is_number = all(value is None or one is not None for value, one in zip(values, numbers, strict=True))
    return numbers if is_number else None


def _parameter(comparison: Comparison, name: str) -> dict[str, Any]:
    numbers = _numbers(comparison, name)
    if numbers is not None:
        return {"name": name, "values": numbers, "words": None}
    values = [task.parameters.get(name) for task in comparison.tasks]
    words = sorted({value for value in values if value is not None})
    return {"name": name, "values": [None if value is None else words.index(value) for value in values], "words": words}
