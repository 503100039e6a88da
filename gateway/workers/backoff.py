"""Pure. How long to wait before something that has died is started again."""

__all__ = ["Backoff"]

FIRST = 0.1  # s
LONGEST = 10.0  # s
WELL = 60.0  # s of life after which it counts as sound


class Backoff:
    """Doubles from 0.1 s to 10 s, jittered down by half at most, and begins anew after a life of a minute."""

    def __init__(self) -> None:
        self._next = FIRST

    def after(self, lived: float, dice: float) -> float:
        """Seconds to wait now. `lived` is seconds, `dice` a number drawn evenly from [0, 1)."""
        if lived >= WELL:
            self._next = FIRST
        wait, self._next = self._next, min(2 * self._next, LONGEST)
        return wait * (1 - dice / 2)
