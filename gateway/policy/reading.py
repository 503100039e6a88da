"""Pure. What a policy reads of a request, as one function.

Most readings are counters and shares of counters: they are read in place, without a call each.
"""

import ast
from collections.abc import Callable, Mapping
from typing import Any, cast

from gateway.policy.conditions.compiler import function
from gateway.policy.conditions.emit import Emitter, Slots
from gateway.policy.facts import Inputs, OfSlab, Row
from gateway.policy.names import Name
from gateway.policy.rounding import TO_THOUSANDTHS
from gateway.policy.templates import filled, filled_value
from gateway.signals import Count, Share, Weighed, generating

__all__ = ["values_of"]

Values = list[Any]

BEGIN = """
slab = inputs.slab
counts = slab.counts
generating = slab.generating
weighty = slab.weighty
requests = ROUNDED
"""
COUNT = "VALUE = counts[AT]"
SHARE = "VALUE = counts[AT] / counts[OF] if counts[OF] else None"
WEIGHTY = """
VALUE = counts[AT]
if VALUE < weighty:
    VALUE = weighty
"""
SHARES_OF_ALL = """
if generating:
    SHARES
else:
    NONE
"""
SHARE_OF_ALL = """
VALUE = counts[AT]
if VALUE:
    VALUE = ROUNDED
"""
ROUND = """
if VALUE:
    VALUE = ROUNDED
"""


def values_of(slots: Slots, names: Mapping[str, Name], rows: Mapping[str, Row]) -> Callable[[Inputs], Values]:
    """One value a slot, readings rounded to 0.001; None = missing, or a score, which is not there yet."""
    emit = Emitter(slots, names, {})
    body = filled(f"inputs = values\n{BEGIN}", ROUNDED=rounded("generating"))
    results: list[ast.expr] = []
    shares: list[ast.stmt] = []
    none: list[ast.stmt] = []
    for at, name in enumerate(slots.names):
        if name not in rows:
            results.append(ast.Constant(None))
            continue
        value, get = f"v{at}", rows[name][1]
        read = get.read if isinstance(get, OfSlab) else None
        if read is generating:
            results.append(ast.Name("requests", ast.Load()))
            continue
        if isinstance(read, Share) and read.of is None:
            shares += filled(
                SHARE_OF_ALL, VALUE=value, AT=ast.Constant(read.hits), ROUNDED=rounded(f"{value} / generating")
            )
            none += filled("VALUE = None", VALUE=value)
            results.append(ast.Name(value, ast.Load()))
            continue
        if isinstance(read, Count):
            body += filled(COUNT, VALUE=value, AT=ast.Constant(read.at))
        elif isinstance(read, Share):
            body += filled(SHARE, VALUE=value, AT=ast.Constant(read.hits), OF=ast.Constant(read.of))
        elif (weighed := whole_of(read)) is not None:
            body += filled(WEIGHTY, VALUE=value, AT=ast.Constant(weighed.hits))
        elif read is not None:
            body += filled("VALUE = read(slab)", VALUE=value, read=emit.bind(read, name))
        else:
            body += filled("VALUE = get(inputs)", VALUE=value, get=emit.bind(get, name))
        if names[name].level == "reading" and names[name].kind == "number":
            body += filled(ROUND, VALUE=value, ROUNDED=rounded(value))
        results.append(ast.Name(value, ast.Load()))
    if shares:
        body += filled(SHARES_OF_ALL, SHARES=shares, NONE=none)
    body.append(ast.Return(ast.List(results, ast.Load())))
    return cast(Callable[[Inputs], Values], function(emit, "values", body, ()))


def whole_of(read: object) -> Weighed | None:
    """The reading of which this one is the whole: the requests that a weighed share is of."""
    owner = getattr(read, "__self__", None)
    return owner if isinstance(owner, Weighed) and read == owner.of else None


def rounded(value: str) -> ast.expr:
    """The nearest whole number of thousandths of an expression of ours."""
    return filled_value(TO_THOUSANDTHS, X=filled_value(value))
