"""Shell. A value that fits a JSON Schema, derived from a hash: the subset that structured outputs and tools use."""

import hashlib
from typing import Any

__all__ = ["fit"]

DEEP = 5  # levels after which whatever may be left out is left out
DEEPEST = 32
MOST = 10_000
LARGEST = 2**53  # what a bound may be, so that each value fits into JSON
LONGEST = 1000  # characters that a `minLength` may demand
FORMATS = {
    "date": "2024-05-17",
    "date-time": "2024-05-17T09:30:00Z",
    "time": "09:30:00Z",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "3f2b8c1e-9d4a-4e6f-8a7b-1c2d3e4f5a6b",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "hostname": "example.com",
    "duration": "PT5M",
}
LETTERS = "abcdefghijklmnopqrstuvwxyz"


class _Budget:
    """Values that one answer may still hold: a short schema can demand an endless one."""

    left = MOST


def fit(schema: Any, seed: bytes) -> Any:
    """A value for `schema` (JSON Schema, or Gemini's with its capital type names).

    Understands type, properties, items, prefixItems, enum, const, bounds of length and size, format, `$ref` within the
    schema, anyOf, oneOf, allOf. Not `pattern`, `not`, conditions. A schema that demands more than 32 levels or 10,000
    values ends in nulls.
    """
    return _fit(schema, seed, schema, "$", 0, _Budget())


def _fit(schema: Any, seed: bytes, root: Any, place: str, depth: int, budget: _Budget) -> Any:
    budget.left -= 1
    if not isinstance(schema, dict) or depth > DEEPEST or budget.left < 0:
        return None
    if isinstance(schema.get("$ref"), str):
        return _fit(_resolve(root, schema["$ref"]), seed, root, place, depth + 1, budget)
    if "const" in schema:
        return schema["const"]
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return schema["enum"][_pick(seed, place, len(schema["enum"]))]
    if isinstance(schema.get("allOf"), list) and schema["allOf"]:
        return _fit(_merged(schema, root), seed, root, place, depth + 1, budget)
    for key in ("anyOf", "oneOf"):
        options = schema.get(key)
        if isinstance(options, list) and options:
            empty = [each for each in options if isinstance(each, dict) and _kind(each, depth) == "null"]
            return _fit(empty[0] if empty and depth > DEEP else options[0], seed, root, place, depth + 1, budget)
    kind = _kind(schema, depth)
    if kind == "object":
        return _object(schema, seed, root, place, depth, budget)
    if kind == "array":
        return _array(schema, seed, root, place, depth, budget)
    return _scalar(kind, schema, seed, place)


def _kind(schema: dict[str, Any], depth: int) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        names = [each for each in kind if isinstance(each, str)]
        kind = "null" if depth > DEEP and "null" in names else next((each for each in names if each != "null"), "null")
    if depth > DEEP and schema.get("nullable") is True:
        return "null"
    if isinstance(kind, str):
        return kind.lower()
    if "properties" in schema:
        return "object"
    return "array" if "items" in schema else "string"


def _object(schema: dict[str, Any], seed: bytes, root: Any, place: str, depth: int, budget: _Budget) -> dict[str, Any]:
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return {}
    required = schema.get("required")
    kept = [name for name in properties if depth <= DEEP or (isinstance(required, list) and name in required)]
    return {name: _fit(properties[name], seed, root, f"{place}.{name}", depth + 1, budget) for name in kept}


def _array(schema: dict[str, Any], seed: bytes, root: Any, place: str, depth: int, budget: _Budget) -> list[Any]:
    first = schema.get("prefixItems")
    items = first if isinstance(first, list) else []
    least = min(int(_figure(schema, "minItems", 0)), 100)
    most = _figure(schema, "maxItems", 100)
    length = max(least, min(int(most), 2 if depth <= DEEP else 0)) if "items" in schema else least
    made = [_fit(each, seed, root, f"{place}[{index}]", depth + 1, budget) for index, each in enumerate(items)]
    rest = range(len(made), length if budget.left > 0 else len(made))
    return made + [_fit(schema.get("items"), seed, root, f"{place}[{index}]", depth + 1, budget) for index in rest]


def _scalar(kind: str, schema: dict[str, Any], seed: bytes, place: str) -> Any:
    if kind == "boolean":
        return _pick(seed, place, 2) == 1
    if kind in ("integer", "number"):
        step = 1 if kind == "integer" else 0.5
        low = _figure(schema, "minimum", _figure(schema, "exclusiveMinimum", 0) + step)
        high = _figure(schema, "maximum", _figure(schema, "exclusiveMaximum", low + 100 + step) - step)
        value = max(min(low, high), min(low + _pick(seed, place, 100), high))
        multiple = _figure(schema, "multipleOf", 0)
        if multiple > 0:
            value = -(-low // multiple) * multiple
        return int(value) if kind == "integer" else float(value)
    if kind == "null":
        return None
    form = schema.get("format")
    if isinstance(form, str) and form in FORMATS:
        return FORMATS[form]
    digits = hashlib.blake2b(seed + place.encode(), digest_size=6).digest()
    text = "".join(LETTERS[byte % 26] for byte in digits)
    least, most = int(_figure(schema, "minLength", 0)), int(_figure(schema, "maxLength", 1000))
    return text.ljust(min(least, LONGEST), "x")[: max(most, 0)]


def _figure(schema: dict[str, Any], key: str, otherwise: float) -> float:
    value = schema.get(key)
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        return min(int(value[:16]), LARGEST)  # Gemini's int64 in JSON
    if isinstance(value, bool) or not isinstance(value, int | float):
        return otherwise
    return max(-LARGEST, min(value, LARGEST))


def _pick(seed: bytes, place: str, below: int) -> int:
    return int.from_bytes(hashlib.blake2b(seed + place.encode(), digest_size=4).digest(), "big") % below


def _resolve(root: Any, reference: str) -> Any:
    """`#/$defs/Name`; None where there is no such place."""
    found = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        if part:
            found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    return found


def _merged(schema: dict[str, Any], root: Any) -> dict[str, Any]:
    merged = {key: value for key, value in schema.items() if key != "allOf"}
    for each in schema["allOf"]:
        part = _resolve(root, each["$ref"]) if isinstance(each, dict) and isinstance(each.get("$ref"), str) else each
        if isinstance(part, dict):
            both = {**(merged.get("properties") or {}), **(part.get("properties") or {})}
            merged = {**merged, **part, **({"properties": both} if both else {})}
    return merged
