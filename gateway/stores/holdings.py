"""Pure. What the limits of a process hold, as plain values: in use (`stores/memory.py`), and as a snapshot keeps it."""

from typing import NamedTuple

import msgspec

from gateway.quotas import Draw, Marks
from gateway.stores.cells import Cells

__all__ = ["Holdings", "Met", "Reservation"]


class Reservation(msgspec.Struct, array_like=True):
    """A reservation that has not been settled: what it charged, when it was last heard of, and what was used since."""

    number: int
    charged: list[Draw]
    heard: int  # µs
    used: dict[str, int] = {}  # limit id -> units that were charged beside it


class Met(msgspec.Struct, array_like=True):
    """A rate's cell with open reservations: how many, and the backlogs that later draws met."""

    marks: Marks
    count: int = 1


class Holdings(NamedTuple):
    """All of it at one moment. Nothing in it changes any more."""

    now: int  # µs
    number: int  # of the last draw
    evicted_live: int
    abandoned: int
    rates: Cells  # TAT
    quotas: Cells  # end of the window << 64 | units
    leases: dict[str, dict[str, int]]  # key -> request -> deadline
    open: dict[str, Reservation]  # least recently heard of first
    met: dict[str, Met]
