"""Pure. Rounding to two and three decimals, in the arithmetic of doubles alone: a handful of operations, no call of C.

`round` goes through decimal text. Here a number is scaled, and 1.5 * 2^52 is added and taken away, which rounds to a
whole number (IEEE 754, half to even); a whole number divided by 100 is the float next to that decimal, as reading its
text would give it. So the result is what `round` gives, but where the scaled number lies within its last bit of the
middle between two whole numbers: there the scaled number decides. From 2^41 on, larger than any count in use, a last
digit may be lost. The same operations give the same bits on every machine, so replay is exact. `TO_HUNDREDTHS` and
`TO_THOUSANDTHS` are the same as text, for functions that are compiled: a number stands where `X` does.
"""

__all__ = ["TO_HUNDREDTHS", "TO_THOUSANDTHS", "hundredths", "thousandths"]

TO_HUNDREDTHS = "((X) * 100.0 + 6755399441055744.0 - 6755399441055744.0) / 100.0"
TO_THOUSANDTHS = "((X) * 1000.0 + 6755399441055744.0 - 6755399441055744.0) / 1000.0"


def hundredths(x: float) -> float:
    """The nearest whole number of hundredths."""
    return (x * 100.0 + 6755399441055744.0 - 6755399441055744.0) / 100.0


def thousandths(x: float) -> float:
    """The nearest whole number of thousandths."""
    return (x * 1000.0 + 6755399441055744.0 - 6755399441055744.0) / 1000.0
