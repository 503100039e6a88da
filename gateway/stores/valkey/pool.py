"""Shell. The slices of limits that this process holds: what is free in each, who draws from it, when it is given back.

Plain bookkeeping, nothing awaits. A slice is a reservation at the store of some units of one cell, and those are
`left + held + spent`: free here; drawn by requests under way; known to have been used. `spent` may pass what was
reserved: an overrun, which the store learns with the slice's settle. A slice is given back once, when no request draws
from it any longer and it is used up, or too old, or more than the cell's other slices need (`Cell.size` units are kept
for who comes next), or nobody has drawn from its cell for a while.
"""

from collections import OrderedDict
from collections.abc import Callable

from gateway.quotas import Draw, Reading, cost_us

__all__ = ["Cell", "Part", "Pool", "Slice"]

CELLS = 100_000  # of which slices are held, at most
RENEW = 600_000_000  # µs: how often the reservation under a slice is renewed, at most


class Slice:
    """See above. `users` counts the requests that draw from it; `open` ends when nobody may any more."""

    __slots__ = ("draw", "expires", "held", "id", "left", "listed", "open", "renewed", "spent", "users")

    def __init__(self, name: str, draw: Draw, now: int) -> None:
        self.id = name
        self.draw = draw
        self.left = draw.cost
        self.held = self.spent = self.users = 0
        self.open, self.listed = True, False
        self.renewed = now
        self.expires = now + cost_us(draw, draw.cost) if draw.kind == "rate" else 0  # µs


class Part:
    """Units of one slice that one request holds."""

    __slots__ = ("slice", "units")

    def __init__(self, slice_: Slice, units: int) -> None:
        self.slice = slice_
        self.units = units
        slice_.left -= units
        slice_.held += units
        slice_.users += 1


class Cell:
    """The slices of one cell that have something left, oldest first, and what the store last said of it."""

    __slots__ = ("full_at", "heard", "left", "scant", "size", "slices", "used")

    def __init__(self, size: int) -> None:
        self.size = size  # units of a slice
        self.slices: list[Slice] = []
        self.used = 0  # µs: when it was last drawn from
        self.scant = 0  # µs: until then the store has less than a slice
        self.heard = False
        self.left = 0  # units that the store said were free
        self.full_at = 0  # µs: when all of a rate's would be

    @property
    def here(self) -> int:
        """Units that are free here."""
        return sum([slice_.left for slice_ in self.slices])

    def hear(self, reading: Reading, now: int) -> None:
        """What the store answered."""
        self.left, self.full_at, self.heard = reading.left, now + reading.reset, True

    def reading(self, draw: Draw, now: int, *, ok: bool) -> Reading:
        """What the store said last, and what is free here. Where it isn't `ok` it never will be."""
        here, left, reset, capacity = self.here, self.left if self.heard else draw.capacity, 0, draw.capacity
        if draw.kind == "rate":
            backlog = self.full_at - now
            left = capacity
            if backlog > 0 and draw.amount > 0:
                left = max(0, capacity + -backlog * draw.amount // draw.period)
                reset = max(0, backlog - cost_us(draw, here)) if here else backlog
        elif draw.kind == "quota":
            reset = max(0, draw.window + draw.period - now)
        left = min(capacity, left + here)
        return Reading(draw.limit, draw.unit, ok, draw.cost, left, capacity, reset, 0 if ok else -1, draw.shadow)


class Pool:
    """Every cell of which slices are held. `renew(slice)` is called where its reservation has to be told of life."""

    def __init__(self, give_back: Callable[[Slice], None], renew: Callable[[Slice], None]) -> None:
        self.slices: dict[str, Slice] = {}  # by id; those without a rest too
        self._give_back = give_back
        self._renew = renew
        self._cells: OrderedDict[str, Cell] = OrderedDict()  # least recently used first

    def __len__(self) -> int:
        return len(self._cells)

    def holds(self, key: str) -> bool:
        """Whether something of a cell is free here."""
        cell = self._cells.get(key)
        return cell is not None and bool(cell.slices)

    def cell(self, draw: Draw, size: int, now: int) -> Cell:
        """The cell of a draw, now in use; `size` is that of its slices."""
        cells, key = self._cells, draw.key
        cell = cells.get(key)
        if cell is None:
            if len(cells) >= CELLS:
                self._retire(cells.popitem(last=False)[1])
            cell = cells[key] = Cell(size)
        else:
            cells.move_to_end(key)
            cell.size = size
        cell.used = now
        return cell

    def add(self, cell: Cell, slice_: Slice) -> None:
        """Units that were reserved at the store; in use already where nothing of them is left."""
        self.slices[slice_.id] = slice_
        if slice_.left:
            self._list(cell, slice_)

    def spend(self, cell: Cell, draw: Draw, units: int, now: int, parts: list[Part]) -> int:
        """Takes `units` from the oldest slices that are good for this draw; returns how many are lacking."""
        slices = cell.slices
        while slices:
            slice_ = slices[0]
            if not self._good(slice_, draw, now):
                self._unlist(cell, slice_)
                slice_.open = False
                if not slice_.users:
                    self._end(slice_)
                continue
            take = min(units, slice_.left)
            parts.append(Part(slice_, take))
            units -= take
            if not slice_.left:
                self._unlist(cell, slice_)
            if not units:
                break
        return units

    def use(self, parts: list[Part], units: int) -> None:
        """A request ends that is known to have used `units`: less than it drew, or more."""
        for part in parts:
            slice_, used = part.slice, min(part.units, units)
            units -= used
            slice_.held -= part.units
            slice_.left += part.units - used
            slice_.spent += used
        if units > 0 and parts:
            slice_ = parts[-1].slice
            slice_.left -= min(units, slice_.left)
            slice_.spent += units
        for part in parts:
            self._let_go(part.slice)

    def keep(self, slice_: Slice, now: int) -> None:
        """A request that draws from the slice is alive."""
        every = slice_.draw.period // 4 if slice_.draw.kind == "lease" else RENEW
        if now - slice_.renewed >= every:
            slice_.renewed = now
            self._renew(slice_)

    def sweep(self, before: int) -> None:
        """Gives back what nobody has drawn from since `before`."""
        while self._cells:
            key, cell = next(iter(self._cells.items()))
            if cell.used > before:
                return
            del self._cells[key]
            self._retire(cell)

    def clear(self) -> None:
        """Gives everything back; what requests under way hold counts as used."""
        self._cells.clear()
        for slice_ in list(self.slices.values()):
            slice_.spent += slice_.held
            self._end(slice_)

    def _good(self, slice_: Slice, draw: Draw, now: int) -> bool:
        if slice_.draw.kind != draw.kind:  # the limit was changed meanwhile
            return False
        if draw.kind == "rate":
            return now < slice_.expires
        if draw.kind == "quota":
            return slice_.draw.window == draw.window
        if now - slice_.renewed >= draw.period:
            return False
        self.keep(slice_, now)
        return True

    def _let_go(self, slice_: Slice) -> None:
        slice_.users -= 1
        cell = self._cells.get(slice_.draw.key) if slice_.open else None
        if cell is not None and slice_.left and not slice_.listed:
            self._list(cell, slice_)
        if not slice_.users and (cell is None or not slice_.left or cell.here > cell.size):
            if cell is not None:
                self._unlist(cell, slice_)
            self._end(slice_)

    def _list(self, cell: Cell, slice_: Slice) -> None:
        slice_.listed = True
        cell.slices.append(slice_)

    def _unlist(self, cell: Cell, slice_: Slice) -> None:
        if slice_.listed:
            slice_.listed = False
            cell.slices.remove(slice_)

    def _retire(self, cell: Cell) -> None:
        for slice_ in tuple(cell.slices):
            self._unlist(cell, slice_)
            slice_.open = False
            if not slice_.users:
                self._end(slice_)

    def _end(self, slice_: Slice) -> None:
        if self.slices.pop(slice_.id, None) is not None:
            self._give_back(slice_)
