"""Permanent names, with the version of what they stand for."""

import re

_NAME = re.compile(r"[^\s@\x00-\x1f]+@v(0|[1-9][0-9]*)")


class Component:
    """What is found again by its name: storages, serializers, unpackers.

    A class has a permanent ``name``, such as ``"lab.files@v1"``, that is written beside what it wrote; what it
    does not call itself any more, or what another class called itself that it reads, are its ``aliases``.
    Instances of one class and name are equal.
    """

    name: str
    aliases: tuple[str, ...] = ()

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        own = vars(cls)
        if "name" in own:
            check_name(own["name"], cls)

    def __eq__(self, other):
        return type(other) is type(self) and other.name == self.name

    def __hash__(self):
        return hash((type(self), self.name))

    def __repr__(self):
        return f"<{type(self).__module__}.{type(self).__qualname__} {named(self)}>"


def check_name(name, of):
    """Refuses a name that is not one with a version."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name.encode()) > 200:
        raise ValueError(
            f"{of.__qualname__}.name is {name!r}; it must be a name and its version, such as 'lab.files@v1'"
        )


def named(component):
    """The name of a component, which its class must have."""
    name = getattr(type(component), "name", None)
    if not isinstance(name, str):
        raise ValueError(
            f"{type(component).__qualname__} has no name: give its class one, such as name = 'lab.files@v1'"
        )
    return name
