"""Pure. The result of a run as tables of text."""

from collections.abc import Iterable, Sequence
from typing import Any

from tests.benchmarks.proxy.figures import Spread, ratios, spread

__all__ = ["REFERENCE", "by_round", "tables"]

REFERENCE = "nginx"
FULL = 0.9
"""Share of its core from which a contestant counts as saturated."""
Rows = Sequence[dict[str, Any]]


def by_round(rows: Rows, name: str, figure: str, **where: Any) -> dict[int, float]:
    """One figure of a contestant by round; rows must agree with `where`. What failed in part is left out."""
    return {
        row["round"]: row[figure]
        for row in rows
        if row["name"] == name
        and not row["bad"]
        and row.get(figure) is not None
        and all(row.get(key) == value for key, value in where.items())
    }


def number(value: float) -> str:
    """Three figures or so, with thousands apart."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def cell(found: Spread | None, scale: float = 1.0) -> str:
    """Median and range."""
    if found is None:
        return "–"
    middle = number(found.median * scale)
    return middle if found.rounds == 1 else f"{middle} ({number(found.least * scale)}–{number(found.most * scale)})"


def grid(title: str, head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table: the first column to the left, the others to the right."""
    body = [list(line) for line in lines]
    widths = [max(len(line[at]) for line in [list(head), *body]) for at in range(len(head))]

    def row(cells: Sequence[str]) -> str:
        first, *rest = (
            text.ljust(width) if at == 0 else text.rjust(width)
            for at, (text, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "  ".join([first, *rest]).rstrip()

    return "\n".join([title, row(head), row(["-" * width for width in widths]), *map(row, body)])


def tables(report: dict[str, Any]) -> str:
    """Everything that a run found out. Raises KeyError where it isn't the result of one."""
    rows, contestants = report["rows"], report["contestants"]
    names = [name for name, about in contestants.items() if "missing" not in about]
    parts = [
        *_closed(rows, names),
        _added(rows, names),
        _start(contestants, names),
        _streams(rows, names),
        _notes(report, names),
    ]
    return "\n\n".join(part for part in parts if part)


def _cases(rows: Rows) -> list[tuple[int, int]]:
    return list(dict.fromkeys((row["size"], row["c"]) for row in rows if row["case"] == "closed"))


def _closed(rows: Rows, names: Sequence[str]) -> list[str]:
    found = []
    for size, connections in _cases(rows):
        where = {"case": "closed", "size": size, "c": connections}
        reference = by_round(rows, REFERENCE, "cpu_us", **where)
        lines = []
        for name in names:
            own = by_round(rows, name, "cpu_us", **where)
            served = [spread(by_round(rows, name, figure, **where).values()) for figure in ("rps", "p50", "p99")]
            if any(served):
                busy = spread(by_round(rows, name, "busy", **where).values())
                bound = "" if busy is None or busy.median > FULL or connections == 1 else "†"
                lines.append(
                    [name, cell(spread(own.values())), cell(ratios(own, reference)), cell(served[0]) + bound]
                    + [cell(one, 1e-3) for one in served[1:]]
                    + [f"{sum(by_round(rows, name, 'n', **where).values()):,}"]
                )
        many = f"{connections} connection{'s' if connections > 1 else ''}"
        title = f"{size // 1024} KB, {many}: median (least–most) of the rounds"
        if any(line[3].endswith("†") for line in lines):
            title += "\n† its core had time left: the load, or whoever shares the machine, was the bound"
        head = ["", "CPU µs/request", f"× {REFERENCE}", "requests/s", "p50 ms", "p99 ms", "requests"]
        found.append(grid(title, head, lines))
    return found


def _added(rows: Rows, names: Sequence[str]) -> str:
    lines = []
    for name in names:
        own = [row for row in rows if row["case"] == "open" and row["name"] == name and not row["bad"]]
        if not own or name == "direct":
            continue
        cells = []
        for figure in ("p50", "p99"):
            alone = by_round(rows, "direct", figure, case="open", **{"for": name})
            through = by_round(rows, name, figure, case="open", **{"for": name})
            cells.append(cell(spread(through[at] - alone[at] for at in through.keys() & alone.keys()), 1e-3))
        requests = sum(row["n"] for row in own)
        rate = number(own[0]["rate"]) + ("*" if own[0]["capped"] else "")
        late = spread(row["lag_p99"] for row in own)
        lines.append([name, rate, *cells, f"{requests:,}", cell(late, 1e-3)])
    if not lines:
        return ""
    head = ["", "requests/s", "p50 ms added", "p99 ms added", "requests", "generator late, p99 ms"]
    title = (
        "At half of what each can do (open loop): latency above the model server's own at the same rate. The p99 rests "
        "on so many requests, in all rounds.\n* half would be more than the generator can send"
    )
    return grid(title, head, lines)


def _start(contestants: dict[str, Any], names: Sequence[str]) -> str:
    lines = []
    for name in names:
        about = contestants[name]
        colds = about.get("cold", [])
        if colds:
            figures = [cell(spread(cold[key] for cold in colds)) for key in ("first_answer", "start_cpu", "cpu")]
            memory = [number(colds[0]["rss"] / 1e6), number(about["rss_after"] / 1e6) if "rss_after" in about else "–"]
            lines.append([name, *figures, *memory])
    head = ["", "s to the first 200", "CPU s until then", "CPU µs/request, first 100", "MB at the start", "MB after"]
    return grid("Start and memory", head, lines) if lines else ""


def _streams(rows: Rows, names: Sequence[str]) -> str:
    lines = []
    for name in names:
        if not any(row["name"] == name and row["case"] in ("held", "first", "flat", "paced") for row in rows):
            continue
        cells = []
        for case in ("paced", "flat"):
            own = by_round(rows, name, "cpu_us_chunk", case=case)
            cells.append(cell(spread(own.values())))
            cells.append(cell(ratios(own, by_round(rows, REFERENCE, "cpu_us_chunk", case=case))))
        cells.append(cell(spread(by_round(rows, name, "cps", case="flat").values())))
        cells.append(cell(spread(by_round(rows, name, "ttft_p50", case="first").values()), 1e-3))
        cells.append(cell(spread(by_round(rows, name, "ttft_p50", case="paced").values()), 1e-3))
        cells.append(cell(spread(by_round(rows, name, "rss_stream", case="held").values()), 1 / 1024))
        lines.append([name, *cells])
    if not lines:
        return ""
    times = f"× {REFERENCE}"
    head = [
        "",
        "paced µs/chunk",
        times,
        "flat out µs/chunk",
        times,
        "chunks/s",
        "first token ms",
        "of 100 ms",
        "KiB/stream",
    ]
    title = "Streams: 100 at 50 chunks/s; 16 flat out; one at a time; memory of each of many held open"
    return grid(title, head, lines)


def _notes(report: dict[str, Any], names: Sequence[str]) -> str:
    contestants = report["contestants"]
    lines = [
        f"  {name}: {contestants[name]['what']}; {contestants[name].get('version', '')}".rstrip("; ") for name in names
    ]
    for name, about in contestants.items():
        if "missing" in about:
            lines.append(f"  {name}: MISSING: {about['missing']}. To install it: {about['install']}")
        if "failed" in about:
            lines.append(f"  {name}: FAILED: {about['failed']}")
        if "held" in about:
            lines.append(f"  {name}: {about['held']}")
        if "failed_streams" in about:
            lines.append(f"  {name}: no streams: {about['failed_streams']}")
    odd = [row for row in report["rows"] if row.get("cpu_agrees") is False]
    lines += [
        f"  {row['name']}, round {row['round'] + 1}, {row['case']}: the tick counters say "
        f"{row['cpu_check_ns'] / 1e6:,.0f} ms of CPU, the clocks {row['cpu_ns'] / 1e6:,.0f} ms"
        for row in odd
    ]
    return "\n".join(["Who they are, and what went wrong", *lines])
