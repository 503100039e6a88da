"""Pure. Campaigns: accounts that follow one recipe, linked while their requests come, and looked at as one.

    habits.py     what each account does every time: a record of some 700 bytes
    linking.py    which accounts are one: Fellegi-Sunter weights, and a cohort test of one frame's population
    tables.py     both, over all accounts, bounded and a few steps a request; room.py: who is forgotten
    form.py       a record as bytes, for other workers; telling.py: when they are told; merging.py: what all know of one
    signals/      what a campaign does over time; one file = one signal (X1, X2, ...)

Nothing here judges. `decide.judge` sees a `Campaign`, the snapshot that these tables last made of it, in its facts; so
the record holds it, and a replay needs no table. Time is the events' own: the same events give the same campaigns, and
what was heard of other workers is such an event too.
"""

import msgspec

__all__ = ["ACTS", "COUNTS", "GRACE", "Campaign", "number"]

COUNTS = 3  # owners from which accounts are a campaign at all
ACTS = 5  # owners from which a campaign has a score
GRACE = 259_200_000_000  # µs (72 h): a recipe so new may be everybody's tomorrow, so it never corroborates a block


class Campaign(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was known of a campaign when its tables were last gone through. No scores, no members' names.

    `readings`: numbers by name, rounded to 0.001: those of its own signals, and those of accounts' signals over all
    members. Of a share over requests `NAME.hits` and `NAME.of` are there; of one that isn't there nobody has any.
    """

    id: str
    epoch: int  # which going-through, from 1; it says something else only when this number changes
    members: int  # accounts
    owners: int  # of them, organisations or accounts without one
    since: int  # µs: when its recipe was first seen here
    linked: bool = True  # by frame and parameters, client or network; else by a cohort test
    readings: dict[str, float] = {}
