"""The graph of a run, as Mermaid text and as SVG: what its stages wait for, and how far they are."""

from __future__ import annotations

from html import escape

from clearml_platform.pipeline.run import Run, Stage

# Fill and text, which is readable on it: the contrast is 4.5 and more.
COLOURS = {
    "pending": ("#e2e8f0", "#1e293b"),
    "draft": ("#e2e8f0", "#1e293b"),
    "queued": ("#fde68a", "#1e293b"),
    "running": ("#1d4ed8", "#ffffff"),
    "completed": ("#15803d", "#ffffff"),
    "cached": ("#0f766e", "#ffffff"),
    "failed": ("#b91c1c", "#ffffff"),
    "aborted": ("#9a3412", "#ffffff"),
    "skipped": ("#cbd5e1", "#334155"),
}
# Sizes in pixels.
WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 190, 62, 56, 24, 16


def duration(seconds: float | None) -> str:
    """Return a time that people read: 8 s, 1 min 05 s, 2 h 03 min."""
    if seconds is None:
        return ""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def mermaid(run: Run) -> str:
    """Return the graph as Mermaid text, as Markdown pages show it."""
    names = {stage.name: f"s{number}" for number, stage in enumerate(run.stages)}
    lines = ["flowchart LR"]
    for stage in run.stages:
        # Mermaid knows HTML's entities by their numbers, and takes # for the beginning of one.
        label = "".join(sign if sign.isalnum() or sign in " _-" else f"#{ord(sign)};" for sign in stage.name)
        lines.append(f'    {names[stage.name]}["{label}<br/>{_state(stage)}"]:::{stage.status}')
    for stage in run.stages:
        lines += [f"    {names[parent]} --> {names[stage.name]}" for parent in stage.parents if parent in names]
    for status in sorted({stage.status for stage in run.stages}):
        fill, text = COLOURS.get(status, COLOURS["pending"])
        lines.append(f"    classDef {status} fill:{fill},color:{text}")
    return "\n".join(lines) + "\n"


def svg(run: Run) -> str:
    """Return the graph as an SVG picture."""
    columns = _columns(run)
    places = {
        stage.name: (MARGIN + column * (WIDTH + GAP_X), MARGIN + row * (HEIGHT + GAP_Y))
        for column, stages in enumerate(columns)
        for row, stage in enumerate(stages)
    }
    rows = max((len(column) for column in columns), default=1)
    width = 2 * MARGIN + max(1, len(columns)) * (WIDTH + GAP_X) - GAP_X
    height = 2 * MARGIN + rows * (HEIGHT + GAP_Y) - GAP_Y
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img" font-family="system-ui, sans-serif" text-anchor="middle">',
        f"<title>{escape(run.name)}: {run.status}</title>",
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#64748b"/></marker></defs>',
    ]
    for stage in run.stages:
        parts += [_arrow(places[parent], places[stage.name]) for parent in stage.parents if parent in places]
    parts += [_box(stage, *places[stage.name]) for stage in run.stages]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _state(stage: Stage) -> str:
    return " · ".join(filter(None, (stage.status, duration(stage.seconds))))


def _columns(run: Run) -> list[list[Stage]]:
    """Return the stages by how many stand before them."""
    depth: dict[str, int] = {}
    stages = {stage.name: stage for stage in run.stages}

    def of(name: str, path: tuple[str, ...] = ()) -> int:
        if name not in depth:
            before = [of(one, (*path, name)) for one in stages[name].parents if one in stages and one not in path]
            depth[name] = 1 + max(before, default=-1)
        return depth[name]

    columns: list[list[Stage]] = [[] for _ in range(1 + max(map(of, stages), default=-1))]
    for stage in run.stages:
        columns[depth[stage.name]].append(stage)
    return [column for column in columns if column]


def _arrow(start: tuple[int, int], end: tuple[int, int]) -> str:
    left, right = (start[0] + WIDTH, start[1] + HEIGHT // 2), (end[0], end[1] + HEIGHT // 2)
    middle = (left[0] + right[0]) // 2
    path = f"M{left[0]} {left[1]} C{middle} {left[1]} {middle} {right[1]} {right[0]} {right[1]}"
    return f'<path d="{path}" fill="none" stroke="#64748b" stroke-width="1.5" marker-end="url(#arrow)"/>'


def _box(stage: Stage, x: int, y: int) -> str:
    fill, text = COLOURS.get(stage.status, COLOURS["pending"])
    name = stage.name if len(stage.name) <= 22 else f"{stage.name[:21]}…"
    centre = x + WIDTH // 2
    return (
        f'<g fill="{text}"><title>{escape(stage.name)}: {escape(_state(stage))}</title>'
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="8" fill="{fill}"/>'
        f'<text x="{centre}" y="{y + 27}" font-size="15" font-weight="600">{escape(name)}</text>'
        f'<text x="{centre}" y="{y + 47}" font-size="12">{escape(_state(stage))}</text></g>'
    )
