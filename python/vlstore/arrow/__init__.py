"""Stores as tables of Arrow, and such tables as stores.

Every open store of frames, arrays or bytes has ``__arrow_c_stream__``, so that ``pyarrow.table(store)``,
``pandas.DataFrame.from_arrow(store)`` and others read it. :func:`reader` does the same for chosen fields, batch
by batch, in bounded memory; libraries that take a store for a mapping, as Polars does, are given its result. :func:`from_arrow` makes a store of any such stream,
:func:`extend` adds one to a store that is open for writing. Needs ``pyarrow``
(``pip install 'vlstore[arrow]'``).
"""

from vlstore.arrow._rows import extend, from_arrow
from vlstore.arrow._tables import parts, reader, schema

__all__ = ["extend", "from_arrow", "parts", "reader", "schema"]
