"""Pure. Which half of the benign owners nulls are fitted on, so that they are tried on the other. The fit is the
product's own (`gateway/calibrate/nulls.py`)."""

from hashlib import blake2b

from gateway.calibrate.nulls import Fitted, Null, fit, fitted, overlay

__all__ = ["Fitted", "Null", "fit", "fitted", "overlay", "to_fit"]


def to_fit(account: str) -> bool:
    """Whether an owner is of the half that nulls are fitted on."""
    return blake2b(account.encode()).digest()[0] % 2 == 0
