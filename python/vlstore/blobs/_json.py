"""JSON, strictly: what it cannot hold is refused and not changed."""

import json

_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def _check(value, what):
    if isinstance(value, dict):
        for name, member in value.items():
            if not isinstance(name, str):
                raise TypeError(f"{what}: in JSON a name cannot be {type(name).__name__}: {name!r}")
            _check(member, what)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _check(item, what)


def dumps(value, what="the value"):
    """``value`` as JSON text; ``what`` names it in a refusal."""
    try:
        _check(value, what)
        text = _ENCODER.encode(value)
        if not text.isascii():
            text.encode()  # halves of surrogate pairs are no text
        return text
    except (TypeError, ValueError, RecursionError) as error:
        if str(error).startswith(what):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{what}: JSON cannot hold it: {error}") from None


def _refuse(constant):
    raise ValueError(f"JSON has no {constant}")


_DECODER = json.JSONDecoder(parse_constant=_refuse)


def loads(text):
    """The value of JSON ``text``; a ``ValueError`` if it is not JSON, which NaN and infinities are not."""
    return _DECODER.decode(text)
