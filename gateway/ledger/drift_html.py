"""Pure. A replay's findings as one HTML page: no script, nothing from elsewhere, light and dark, fit for paper."""

from collections.abc import Iterable, Sequence
from html import escape

from gateway.ledger.drift import Example, Found
from gateway.ledger.drift_text import CAMPAIGNS, Report, campaign_rows, notes, reasons
from gateway.ledger.line import timestamp

__all__ = ["to_html"]

STYLE = """
:root{color-scheme:light dark;--ink:#1c2024;--dim:#60646c;--line:#d9dce1;--back:#fff;--soft:#f5f6f8;--warm:#a33c00}
@media(prefers-color-scheme:dark){:root{--ink:#e8eaed;--dim:#a0a6b0;--line:#3a3f47;--back:#16181b;--soft:#1f2226;
--warm:#ffa057}}
*{box-sizing:border-box}
body{margin:0 auto;padding:2rem 1rem 4rem;max-width:70rem;background:var(--back);color:var(--ink);
font:15px/1.5 system-ui,sans-serif}
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2.2rem 0 .6rem}
p.of{color:var(--dim);margin:.2rem 0 1.5rem}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.35rem .8rem .35rem 0;border-bottom:1px solid var(--line);vertical-align:top}
th{color:var(--dim);font-weight:500}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
code{font:13px/1.5 ui-monospace,monospace;overflow-wrap:anywhere}
.sums{display:flex;flex-wrap:wrap;gap:.8rem}
.sums div{flex:1 1 12rem;background:var(--soft);border-radius:.5rem;padding:.8rem 1rem}
.sums b{display:block;font-size:1.4rem;font-variant-numeric:tabular-nums}
.sums span{color:var(--dim)}
.worse{color:var(--warm)}
ul{padding-left:1.2rem;margin:.3rem 0}
article{border-top:1px solid var(--line);padding:.7rem 0;break-inside:avoid}
@media print{body{max-width:none;padding:0;font-size:11px}.scroll{overflow:visible}tr{break-inside:avoid}}
"""


def to_html(report: Report) -> str:
    """The page. Every text from the ledger or a policy is escaped."""
    tally, found = report.tally, report.drift
    title = f"Replay of {report.source}"
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
        f'<p class="of">{_of(report)}</p>',
    ]
    if tally.first is not None:
        first = tally.first
        parts.append(f'<h2 class="worse">{tally.differences:,} of {tally.compared:,} requests differ</h2>')
        parts.append(
            f"<p>The first: row {first.seq}, {timestamp(first.now)}, request <code>{escape(first.request)}</code>, "
            f"account <code>{escape(first.account)}</code>:<br><code>{escape(first.what)}</code></p>"
        )
    elif tally.compared and not report.raw:
        parts.append(f"<p>All {tally.compared:,} requests agree with the policy that they were judged by.</p>")
    said = notes(report)
    if said:
        parts.append("<ul>" + "".join(f"<li>{escape(note)}</li>" for note in said) + "</ul>")
    if found is not None:
        parts += _drift(found)
    parts.append("</body></html>")
    return "\n".join(parts) + "\n"


def _of(report: Report) -> str:
    policy = f"policy <code>{escape(report.policy)}</code> ({escape(report.digest)})" if report.policy else "own policy"
    return f"{report.tally.requests:,} requests, {policy}"


def _drift(found: Found) -> list[str]:
    parts = ['<h2>Totals</h2><div class="sums">']
    for name, requests, tokens in (
        ("change their action", found.moved(), None),
        ("change only their rules or effects", found.requests - found.same - found.moved(), None),
        ("newly refused", found.newly_refused.requests, found.newly_refused.tokens),
        ("newly allowed", found.newly_allowed.requests, found.newly_allowed.tokens),
        ("refused in all", found.refused.requests, found.refused.tokens),
    ):
        below = f"{name}, {tokens:,} tokens" if tokens is not None else name
        parts.append(f"<div><b>{requests:,}</b><span>{below}</span></div>")
    parts.append("</div>")
    parts.append("<h2>Actions</h2>")
    parts.append(
        _table(
            ("before", "now", "requests", "tokens"),
            ((move.before, move.after, move.requests, move.tokens) for move in found.moves),
        )
    )
    if found.rules:
        parts.append("<h2>Rules</h2>")
        parts.append(
            _table(
                ("rule", "newly", "no longer", "still", "condition"),
                ((rule.rule, rule.newly, rule.no_longer, rule.still, rule.when) for rule in found.rules),
            )
        )
    if found.accounts:
        parts.append("<h2>Accounts</h2>")
        head = ("account", "changed", "newly refused", "newly allowed", "tokens refused", "tokens allowed", "score dB")
        parts.append(
            _table(
                head,
                (
                    (
                        each.account,
                        each.changed if not each.over else f"{each.changed:,} (at most {each.over:,} too many)",
                        each.newly_refused,
                        each.newly_allowed,
                        each.tokens_refused,
                        each.tokens_allowed,
                        "" if each.score is None else each.score,
                    )
                    for each in found.accounts
                ),
            )
        )
    if found.campaigns:
        parts.append("<h2>Campaigns</h2>")
        parts.append(_table(CAMPAIGNS, campaign_rows(found)))
    if found.examples:
        parts.append("<h2>Examples</h2>")
        parts += map(_example, found.examples)
    return parts


def _example(example: Example) -> str:
    worse = ' class="worse"' if example.after in ("limit", "block", "reject") else ""
    items = "".join(f"<li>{escape(reason)}</li>" for reason in reasons(example))
    return (
        f"<article><b>{escape(example.account)}</b> &nbsp; {escape(example.before)} → "
        f"<span{worse}>{escape(example.after)}</span> &nbsp; score {example.score:g} dB (was "
        f"{example.score_before:g}), {example.tokens:,} tokens{', guessed' if example.guessed else ''}<br>"
        f"<code>{timestamp(example.now)} {escape(example.request)}</code><ul>{items}</ul></article>"
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    rows = list(rows)
    made = ['<div class="scroll"><table><thead><tr>']
    for at, name in enumerate(head):
        number = rows and isinstance(rows[0][at], int | float)
        made.append(f"<th{' class=n' if number else ''}>{escape(name)}</th>")
    made.append("</tr></thead><tbody>")
    for row in rows:
        made.append("<tr>")
        for cell in row:
            if isinstance(cell, int):
                made.append(f'<td class="n">{cell:,}</td>')
            elif isinstance(cell, float):
                made.append(f'<td class="n">{cell:g}</td>')
            else:
                made.append(f"<td>{escape(str(cell))}</td>")
        made.append("</tr>")
    made.append("</tbody></table></div>")
    return "".join(made)
