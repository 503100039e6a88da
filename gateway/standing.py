"""Pure. What forgetting an account would lose: a small number from its row of signals alone, whatever the policy.

When the memory for accounts is full, those of low standing go first (`stores/accounts.py`). A standing is how many
requests it would take to gather again what is known: each step up is some five times more. The marks that count are
those that few customers leave; a mark that isn't at least one request in fifty is a coincidence. An account that shows
no mark keeps some standing by how much it took, since a harvest may have no other trace.

    standing   requests with one mark, in a week   answers in the shape of a training row   requests
    3          100                                 1,000
    2          20                                  200
    1          3                                   40                                       40

All counts are decayed over a week, as the row holds them after its last step. Cost: about 5 µs.
"""

from gateway.gauges import PANEL

__all__ = ["HIGHEST", "MARKS", "standing"]

HIGHEST = 3
MARKS = (
    "elicitation_share",
    "generation_share",
    "preference_share",
    "fed_back_share",
    "bank_share",
    "distribution_share",
    "soft_target_share",
    "novel_bias_share",
)
LEAST = 0.02  # share of an account's requests: fewer are a coincidence
MARKED = (3.0, 20.0, 100.0)
ROWS = (40.0, 200.0, 1000.0)
REQUESTS = 40.0

_MARKS = [PANEL.counts(name) for name in MARKS]
_ROWS, _ = PANEL.counts("harvest_share")
_, _REQUESTS = PANEL.counts("one_shot_share")


def standing(row: bytes) -> int:
    """0 (little would be lost) to 3, of an account's row. Raises ValueError for a row of another layout."""
    if not row:
        return 0
    slab = PANEL.read(row)
    marked = 0.0
    for hits, of in _MARKS:
        count = hits(slab)
        if count > marked and count >= LEAST * of(slab):
            marked = count
    rows = _ROWS(slab)
    found = sum(marked >= most or rows >= least for most, least in zip(MARKED, ROWS, strict=True))
    return found or int(_REQUESTS(slab) >= REQUESTS)
