"""Pure. Rounding to two and three decimals: exactly what `round` gives of a float, in a third of its time.

`round` goes through decimal text. Here a number is scaled, and 1.5 * 2^52 is added and taken away, which rounds to a
whole number (IEEE 754, half to even); a whole number divided by 100 is the float next to that decimal, as reading its
text would give it. `round` is asked where that may go wrong: within 0.001 of the middle between two whole numbers, from
2^42 on (below, the scaled number is off by less than 2^-11), for what rounds to zero, which has a sign, and for NaN.
"""

__all__ = ["hundredths", "thousandths"]


def hundredths(x: float) -> float:
    """`round(x, 2)`."""
    scaled = x * 100.0
    whole = scaled + 6755399441055744.0 - 6755399441055744.0
    off = scaled - whole
    if whole and off * off < 0.249 and scaled * scaled < 1.9342813113834067e25:
        return whole / 100.0
    return round(x, 2)


def thousandths(x: float) -> float:
    """`round(x, 3)`."""
    scaled = x * 1000.0
    whole = scaled + 6755399441055744.0 - 6755399441055744.0
    off = scaled - whole
    if whole and off * off < 0.249 and scaled * scaled < 1.9342813113834067e25:
        return whole / 1000.0
    return round(x, 3)
