"""Pure. The plot that README shows: CPU of a request for each contestant, on a logarithmic scale, as SVG.

No fonts, scripts or pictures from elsewhere; the background is the page's own, and the text is light on dark pages.
"""

import math
from html import escape
from typing import Any

from tests.benchmarks.proxy.figures import Spread, ratios, spread
from tests.benchmarks.proxy.table import REFERENCE, by_round, number

__all__ = ["plot"]

WIDTH, LEFT, RIGHT, TOP, ROW = 800, 130, 130, 64, 26
STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #1f2328 } .title { font-weight: 600; font-size: 15px }
.small { font-size: 11px; fill: #59636e } .bar { fill: #8c959f } .own { fill: #0969da } .grid { stroke: #8c959f55 }
.range { stroke: #1f2328; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .small { fill: #9198a1 } .range { stroke: #e6edf3 }
  .own { fill: #4493f8 } .bar { fill: #6e7681 }
}"""


def plot(report: dict[str, Any], *, size: int = 2048) -> str:
    """A bar for each contestant, at 16 connections or whichever number of them was measured.

    Raises ValueError where the report has no CPU figure at all.
    """
    found = {row["c"] for row in report["rows"] if row["case"] == "closed" and row["size"] == size}
    connections = 16 if 16 in found else max(found, default=0)
    where = {"case": "closed", "size": size, "c": connections}
    reference = by_round(report["rows"], REFERENCE, "cpu_us", **where)
    bars: list[tuple[str, Spread, Spread | None]] = []
    for name in report["contestants"]:
        own = by_round(report["rows"], name, "cpu_us", **where)
        middle = spread(own.values())
        if middle is not None:
            bars.append((name, middle, ratios(own, reference)))
    if not bars:
        raise ValueError("nothing was measured that could be drawn")
    bars.sort(key=lambda bar: bar[1].median)
    return _svg(bars, report["machine"], f"{size // 1024} KB chat completions, {connections} connections")


def _svg(bars: list[tuple[str, Spread, Spread | None]], machine: dict[str, Any], what: str) -> str:
    low = math.floor(math.log10(min(bar[1].least for bar in bars) / 1.3))
    high = math.log10(max(bar[1].most for bar in bars))
    bottom = TOP + ROW * len(bars)

    def x(value: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(value) - low) / (high - low), 1)

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 44}" role="img">',
        "<title>CPU time of a request by gateway</title>",
        f"<style>{STYLE}</style>",
        f'<text class="title" x="12" y="24">CPU µs a request ({escape(what)}): less is better</text>',
        '<text class="small" x="12" y="43">Median of the rounds, with the least and the greatest; logarithmic. '
        f"× is how many times {REFERENCE} in the same round.</text>",
    ]
    for power in range(low, math.floor(high) + 1):
        at = x(10**power)
        lines.append(f'<line class="grid" x1="{at}" x2="{at}" y1="{TOP - 6}" y2="{bottom}"/>')
        lines.append(f'<text class="small" x="{at}" y="{bottom + 14}" text-anchor="middle">{10**power:,}</text>')
    for at, (name, middle, times) in enumerate(bars):
        top = TOP + ROW * at
        kind = "own" if name.startswith("gauger") else "bar"
        center = top + ROW / 2 - 2
        label = f"{number(middle.median)} µs" + (f", {number(times.median)}×" if times is not None else "")
        lines += [
            f'<text x="{LEFT - 10}" y="{top + 16}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{kind}" x="{LEFT}" y="{top + 2}" width="{x(middle.median) - LEFT:.1f}" height="{ROW - 8}"'
            ' rx="2"/>',
            f'<line class="range" x1="{x(middle.least)}" x2="{x(middle.most)}" y1="{center}" y2="{center}"/>',
            f'<text x="{x(middle.most) + 8}" y="{top + 16}">{label}</text>',
        ]
    on = f"{machine['cpu']}, {machine['cores']} cores, {machine['kernel']}, Python {machine['python']}"
    lines.append(f'<text class="small" x="12" y="{bottom + 36}">{escape(on)}</text>')
    return "\n".join([*lines, "</svg>", ""])
