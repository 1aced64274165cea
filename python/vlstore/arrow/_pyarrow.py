"""The package that everything here needs, imported when it is used."""

from __future__ import annotations

from typing import Any


def load() -> Any:
    try:
        import pyarrow
    except ImportError:
        raise ImportError("vlstore.arrow needs pyarrow: pip install 'vlstore[arrow]'") from None
    return pyarrow
