"""A stream of JSON items, in any cuts."""

import re

from vlstore.blobs import _json

# What decides where an item ends, outside of a text and in one.
_OUTSIDE = re.compile(r'["\[\]{}]')
_INSIDE = re.compile(r'["\\]')
_SPACES = re.compile(r"[ \t\n\r]*")


class Items:
    """Cuts a JSON array of objects and arrays into its items, while it comes.

    Every character is looked at once, whatever the cuts.
    """

    def __init__(self):
        self._text = ""
        self._start = 0  # of what is not given out yet
        self._at = 0  # what has been looked at
        self._open = []  # brackets of the item that is not whole yet
        self._inside = False  # in a text
        self._wanted = "["  # what may come between items

    def feed(self, text):
        """The items that end in ``text``."""
        # Cut once for each piece, not for each item: what is behind an item is not copied for it.
        self._text = self._text[self._start :] + text
        self._at -= self._start
        self._start = 0
        while True:
            if not self._open and not self._between():
                break
            end = self._end_of_item()
            if end is None:
                break
            item, self._start = self._text[self._start : end], end
            self._wanted = ",]"
            yield _json.loads(item)
        # A text may be longer than a piece: what was looked at is not looked at again.

    def _between(self):
        """Goes to the beginning of an item; whether there is one."""
        while True:
            self._start = self._at = _SPACES.match(self._text, self._start).end()
            if self._start == len(self._text):
                return False
            first = self._text[self._start]
            if first in "[{" and "item" in self._wanted:
                return True
            if first not in self._wanted or self._wanted == "item":
                wanted = {"[": "'['", "": "nothing"}.get(self._wanted, "an object or array, ',' or ']'")
                found = self._text[self._start : self._start + 20]
                raise ValueError(
                    f"JSON stream: {wanted} was expected, not {found!r}: it is one array of objects and arrays"
                )
            self._start += 1
            self._wanted = {"[": "item]", ",": "item", "]": ""}[first]

    def _end_of_item(self):
        while True:
            found = (_INSIDE if self._inside else _OUTSIDE).search(self._text, self._at)
            if found is None:
                self._at = len(self._text)
                return None
            self._at = found.end()
            mark = found[0]
            if mark == "\\":
                if self._at == len(self._text):
                    self._at -= 1  # what it protects is not here yet
                    return None
                self._at += 1
            elif mark == '"':
                self._inside = not self._inside
            elif mark in "[{":
                self._open.append(mark)
            else:
                if self._open.pop() + mark not in ("[]", "{}"):
                    raise ValueError(f"JSON stream: a bracket is closed by {mark!r} that it was not opened with")
                if not self._open:
                    return self._at

    def end(self):
        """Refuses a stream that ends in the middle."""
        if self._wanted or _SPACES.match(self._text, self._start).end() != len(self._text):
            raise ValueError("JSON stream: it ends in the middle")
