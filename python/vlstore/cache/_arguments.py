"""From the arguments of a call to the text that is its key, and back.

The text is JSON without spaces, with the names in the order of their code points, and two additions:
``NaN``, ``Infinity`` and ``-Infinity`` as Python's ``json`` writes them, and integers of any length.
``1``, ``1.0`` and ``true`` are three values; tuples are lists; a name that is an integer is its text.
"""

import functools
import hashlib
import inspect
import json
import sys
from json.encoder import encode_basestring

from vlstore.cache._errors import ArgumentError

_INFINITY = float("inf")
#: The only name of an object that ordinary arguments may not use: an array by its content.
ARRAY = "vlstore:array"
#: The same for the object of a method: its class and its attributes.
SELF = "vlstore:self"
_RESERVED = (ARRAY, SELF)
#: For ``arrays``: the arguments come from a key, and may have the reserved names.
VERBATIM = "verbatim"


class _Refused(Exception):
    """Something that JSON cannot hold; ``path`` grows on the way up."""

    def __init__(self, why):
        super().__init__(why)
        self.path = []


def _text(value):
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise _Refused("is a string with half a surrogate pair, which JSON files cannot hold") from None
    return encode_basestring(value)


def _float(value):
    if value != value:
        return "NaN"
    if value == _INFINITY:
        return "Infinity"
    return "-Infinity" if value == -_INFINITY else float.__repr__(value)


def _int(value):
    try:
        return int.__repr__(value)
    except ValueError:
        raise _Refused("is an integer with too many digits") from None


def _list(value, arrays):
    parts = []
    for i, item in enumerate(value):
        try:
            parts.append(canonical(item, arrays))
        except _Refused as refused:
            refused.path.append(f"[{i}]")
            raise
    return f"[{','.join(parts)}]"


def _name(name):
    """The name of an argument or of a member: a text, or what JSON makes one of."""
    kind = type(name)
    if kind is str:
        return name
    if isinstance(name, str):
        return str.__str__(name)
    if name is None or isinstance(name, (bool, int, float)):
        return canonical(name, False)
    if "numpy" in sys.modules:
        import numpy as np

        if isinstance(name, (np.bool_, np.integer, np.floating)):
            return canonical(name, False)
    raise _Refused(f"has a name that is neither a string nor a number: {kind.__qualname__}")


def _dict(value, arrays):
    parts = {}
    for given, item in value.items():
        name = _name(given)
        if name in parts:
            raise _Refused(f"has two names that are the same string, {name!r}")
        if name in _RESERVED and arrays != VERBATIM:
            raise _Refused(f"has the name {name!r}, which stands for something else in keys")
        try:
            parts[name] = canonical(item, arrays)
        except _Refused as refused:
            refused.path.append(f"[{given!r}]")
            raise
    return "{" + ",".join(f"{_text(name)}:{parts[name]}" for name in sorted(parts)) + "}"


def array_text(array):
    """An array by its content: type, shape and a digest of the values in C order."""
    import numpy as np

    from vlstore.cache._result import describe

    digest = hashlib.blake2b(digest_size=16)
    whole = np.ascontiguousarray(array)
    digest.update(whole.reshape(-1).view(np.uint8) if whole.size and whole.dtype.itemsize else b"")
    kind = json.dumps(describe(array.dtype), separators=(",", ":"))
    shape = json.dumps(list(array.shape), separators=(",", ":"))
    return f'{{"{ARRAY}":[{kind},{shape},"{digest.hexdigest()}"]}}'


def _other(value, arrays):
    """Subclasses, numbers of NumPy, arrays where asked for."""
    kind = type(value)
    if "numpy" in sys.modules:
        import numpy as np

        if isinstance(value, np.generic):
            if isinstance(value, (np.bool_, np.integer, np.floating, np.str_)):
                plain = value.item()
                if type(plain) in (bool, int, float, str):
                    return canonical(plain, arrays)
            raise _Refused(f"is a number of NumPy of type {value.dtype}, which JSON cannot hold")
        if isinstance(value, np.ndarray):
            if arrays and type(value) in (np.ndarray, np.memmap) and value.dtype.kind in "biufcmMSUV":
                if not value.dtype.hasobject:
                    return array_text(value)
            hint = "" if arrays else '; arrays="content" makes their content part of the key'
            raise _Refused(f"is an array of {value.dtype}, which JSON cannot hold{hint}")
    for base, write in ((bool, str), (int, _int), (float, _float)):
        if isinstance(value, base):
            return write(base(value))
    if isinstance(value, str):
        return _text(str.__str__(value))
    if isinstance(value, (list, tuple)):
        return _list(value, arrays)
    if isinstance(value, dict):
        return _dict(value, arrays)
    raise _Refused(f"is of type {kind.__qualname__}, which JSON cannot hold")


def canonical(value, arrays):
    """The one text of ``value``; ``arrays`` says whether arrays count by their content."""
    kind = type(value)
    if kind is str:
        return _text(value)
    if kind is int:
        return _int(value)
    if kind is float:
        return _float(value)
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    if kind is tuple or kind is list:
        return _list(value, arrays)
    if kind is dict:
        return _dict(value, arrays)
    return _other(value, arrays)


def _checked(make, what, where):
    try:
        return make()
    except _Refused as refused:
        path = "".join(reversed(refused.path))
        raise ArgumentError(f"{where}{what}{path} {refused}") from None
    except RecursionError:
        raise ArgumentError(f"{where}{what} is nested too deeply, or contains itself") from None


def positional_text(args, arrays=False, where="", names=()):
    """The text of positional arguments."""
    parts = []
    for i, value in enumerate(args):
        what = f"argument `{names[i]}`" if i < len(names) else f"positional argument {i}"
        parts.append(_checked(lambda value=value: canonical(value, arrays), what, where))
    return f"[{','.join(parts)}]"


def named_text(kwargs, arrays=False, where=""):
    """The text of named arguments."""
    parts = {}
    for given, value in kwargs.items():
        name = _checked(lambda given=given: _name(given), "an argument", where)
        if name in parts:
            raise ArgumentError(f"{where}two arguments have the same name {name!r}")
        parts[name] = _checked(lambda value=value: canonical(value, arrays), f"argument `{name}`", where)
    return "{" + ",".join(f"{encode_basestring(name)}:{parts[name]}" for name in sorted(parts)) + "}"


def key_text(positional, named, function="", version=1):
    """The key of a call: ``[args,kwargs]``, and before it name and version of the function if it has a name."""
    if not function:
        return f"[{positional},{named}]"
    return f"[{_text(function)},{version:d},{positional},{named}]"


def parse_key(key):
    """Function, version, args and kwargs of a key; positional arguments as a tuple."""
    parts = json.loads(key)
    if type(parts) is list and len(parts) in (2, 4):
        function, version = parts[:-2] or ("", 1)
        args, kwargs = parts[-2:]
        if type(function) is str and type(version) is int and type(args) is list and type(kwargs) is dict:
            return function, version, tuple(args), kwargs
    raise ValueError("it is not the text of a call")


def module_name(module):
    """The name of a module, the same in every run.

    The program that was started has the name of its file: so what it defines is the same when a child process
    imports it, or another program does.
    """
    if module in ("__main__", "__mp_main__"):
        main = sys.modules.get(module)
        spec, path = getattr(main, "__spec__", None), getattr(main, "__file__", None)
        if spec is not None and getattr(spec, "name", None):
            return spec.name
        if path:
            return path.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0]
    return module


def own_name(function):
    """The name that tells a function from others; ``None`` if it has none."""
    return getattr(function, "__qualname__", None) or getattr(function, "__name__", None)


def is_object(function):
    """Whether something that can be called is an object whose class has a method ``__call__``, and no function."""
    return not hasattr(function, "__qualname__") and inspect.isfunction(getattr(type(function), "__call__", None))


def function_name(function):
    """The qualified name of a function, the same in every run."""
    module = module_name(getattr(function, "__module__", None) or "")
    name = own_name(function) or type(function).__qualname__
    return f"{module}.{name}" if module else name


#: The flag of a class that a program has made, and no C library.
_MADE = 1 << 9


def _attributes(value):
    """The attributes of an object, those in slots too, if they are all that tells it from another one."""
    kind = type(value)
    plain = kind.__reduce_ex__ is object.__reduce_ex__ and kind.__reduce__ is object.__reduce__
    state = all(base.__flags__ & _MADE for base in kind.__mro__[:-1])
    if state and plain and kind.__getstate__ is object.__getstate__:
        try:
            # Refuses an object of which a C library keeps a part.
            object.__reduce_ex__(value, 2)
        except TypeError:
            state = False
    out = dict(getattr(value, "__dict__", {}))
    slots = False
    for base in kind.__mro__[:-1]:
        names = base.__dict__.get("__slots__", ())
        for name in (names,) if isinstance(names, str) else names:
            slots = True
            if name.startswith("__") and not name.endswith("__"):
                name = f"_{base.__name__.lstrip('_')}{name}"
            if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                out[name] = getattr(value, name)
    if not state or not (slots or hasattr(value, "__dict__")):
        raise _Refused(
            f"is of class {kind.__qualname__}, whose objects differ by more than their attributes: "
            "give it a method cache_key()"
        )
    return out


class _Self:
    """The object or class that a method was called on, as part of a key."""

    @staticmethod
    def text(value, arrays):
        if isinstance(value, type):
            return f'{{"{SELF}":[{encode_basestring(function_name(value))}]}}'
        own = getattr(type(value), "cache_key", None)
        if own is not None:
            state = canonical(value.cache_key(), arrays)
        else:
            state = canonical(_attributes(value), arrays)
        return f'{{"{SELF}":[{encode_basestring(function_name(type(value)))},{state}]}}'


def _takes_anything(signature):
    kinds = [parameter.kind for parameter in signature.parameters.values()]
    return kinds == [inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD]


#: Types whose equal values have one key, if also the types are equal.
_SIMPLE = frozenset((int, float, bool, str, type(None)))
#: Keys that are kept, and how long the longest of them is.
_KNOWN, _LONGEST = 1024, 4096


def _is_fixed(value):
    """Whether a value has the same key for as long as it lives: it cannot be changed."""
    return type(value) in _SIMPLE or type(value) is tuple and all(map(_is_fixed, value))


class Call:
    """How calls of one function become keys: positional and named arguments unified, defaults filled in.

    Arguments without a default are positional in a key, those with one are named; if there are more
    positional arguments than parameters (``*args``), all that can be positional are.
    """

    def __init__(self, function, ignore=(), arrays=False, name=None, version=1):
        inner, bound, named = function, (), {}
        while isinstance(inner, functools.partial):
            bound, named = (*inner.args, *bound), {**inner.keywords, **named}
            inner = inner.func
        if inspect.ismethod(inner):
            bound, inner = (inner.__self__, *bound), inner.__func__
        elif is_object(inner):
            bound, inner = (inner, *bound), type(inner).__call__
        self.function = inner
        self.bound, self.named, self.known = bound, named, {}
        self.arrays = arrays
        self.name = function_name(inner) if name is None else name
        self.where = f"{self.name}: " if self.name else ""
        try:
            self.signature = inspect.signature(inner, follow_wrapped=False)
            if _takes_anything(self.signature):
                # A wrapper that passes on what it is given.
                self.signature = inspect.signature(inner)
        except (TypeError, ValueError):
            self.signature = inspect.Signature(
                [
                    inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL),
                    inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD),
                ]
            )
        self.prefix = f"[{encode_basestring(self.name)},{version:d}," if self.name else "["
        self._plan(frozenset((ignore,) if isinstance(ignore, str) else ignore or ()))

    def _plan(self, ignore):
        kinds = inspect.Parameter
        self.positional, self.keyword_only = [], []
        self.rest = self.others = None
        for name, parameter in self.signature.parameters.items():
            if parameter.kind is kinds.VAR_POSITIONAL:
                self.rest = name
            elif parameter.kind is kinds.VAR_KEYWORD:
                self.others = name
            elif parameter.kind is kinds.KEYWORD_ONLY:
                self.keyword_only.append(parameter)
            else:
                self.positional.append(parameter)
        known = set(self.signature.parameters)
        unknown = sorted(ignore - known)
        if unknown and self.others is None:
            from vlstore.errors import InvalidError

            raise InvalidError(
                f"ignore_kwargs: {self.name} has no argument {unknown[0]!r}; it has {', '.join(known) or 'none'}"
            )
        self.ignore = ignore
        # Defined in a class: a plain function may call its first argument as it likes.
        owner = getattr(self.function, "__qualname__", "").rpartition(".")[0]
        in_class = bool(owner) and not owner.endswith("<locals>")
        self.is_method = in_class and bool(self.positional) and self.positional[0].name in ("self", "cls")
        defaults = [
            parameter.default
            for name, parameter in self.signature.parameters.items()
            if parameter.default is not kinds.empty and name not in ignore
        ]
        # What a call does not pass, but its key has: the object of a bound method, a list that a partial holds.
        self.is_fixed = all(map(_is_fixed, (*self.bound, *self.named.values(), *defaults)))

    def arguments(self, args, kwargs):
        """Positional and named arguments as a key has them, and the names of the positional ones.

        ``TypeError`` as the function itself raises it if they do not fit.
        """
        if self.bound or self.named:
            args, kwargs = (*self.bound, *args), {**self.named, **kwargs}
        empty = inspect.Parameter.empty
        values, used = {}, 0
        for i, parameter in enumerate(self.positional):
            name = parameter.name
            if i < len(args):
                if name in kwargs and parameter.kind is not inspect.Parameter.POSITIONAL_ONLY:
                    self.signature.bind(*args, **kwargs)
                values[name] = args[i]
            elif name in kwargs and parameter.kind is not inspect.Parameter.POSITIONAL_ONLY:
                values[name] = kwargs[name]
                used += 1
            elif parameter.default is not empty:
                values[name] = parameter.default
            else:
                self.signature.bind(*args, **kwargs)
        rest = args[len(self.positional) :]
        if rest and self.rest is None:
            self.signature.bind(*args, **kwargs)
        out, named, names = [], {}, []
        for parameter in self.positional:
            name = parameter.name
            if name in self.ignore:
                continue
            by_name = parameter.default is not empty and parameter.kind is not inspect.Parameter.POSITIONAL_ONLY
            if by_name and not (rest and self.rest not in self.ignore):
                named[name] = values[name]
            else:
                out.append(values[name])
                names.append(name)
        if self.rest not in self.ignore:
            out.extend(rest)
        for parameter in self.keyword_only:
            name = parameter.name
            if name in kwargs:
                used += 1
            if name in self.ignore:
                continue
            value = kwargs.get(name, parameter.default)
            if value is empty:
                self.signature.bind(*args, **kwargs)
            named[name] = value
        if used < len(kwargs):
            if self.others is None:
                self.signature.bind(*args, **kwargs)
            elif self.others not in self.ignore:
                known = {p.name for p in self.keyword_only}
                known.update(p.name for p in self.positional if p.kind is not inspect.Parameter.POSITIONAL_ONLY)
                for name, value in kwargs.items():
                    if name not in known and name not in self.ignore:
                        named[name] = value
        return out, named, names

    def key(self, args, kwargs):
        """The key of a call with these arguments.

        ``ArgumentError`` names an argument that JSON cannot hold.
        """
        if not self.is_fixed:
            return self.make_key(args, kwargs)
        for value in args:
            if type(value) not in _SIMPLE:
                return self.make_key(args, kwargs)
        for value in kwargs.values():
            if type(value) not in _SIMPLE:
                return self.make_key(args, kwargs)
        # Keys of small calls are kept: making one costs more than finding its result.
        call = (args, tuple(map(type, args)), *kwargs.items()) if kwargs else (args, *map(type, args))
        if kwargs:
            call += tuple(map(type, kwargs.values()))
        found = self.known.get(call)
        if found is None:
            found = self.make_key(args, kwargs)
            if any(type(value) is float and value == 0 for value in (*args, *kwargs.values())):
                # 0.0 and -0.0 are equal here, and two keys.
                return found
            if len(found) > _LONGEST:
                return found
            if len(self.known) >= _KNOWN:
                self.known.clear()
            self.known[call] = found
        return found

    def make_key(self, args, kwargs):
        """As :meth:`key`, for any arguments."""
        out, named, names = self.arguments(args, kwargs)
        first = ""
        if self.is_method and names and names[0] in ("self", "cls"):
            it = out.pop(0)
            names.pop(0)
            first = _checked(lambda: _Self.text(it, self.arrays), f"argument `{self.positional[0].name}`", self.where)
            first += "," if out else ""
        text = positional_text(out, self.arrays, self.where, names)
        return f"{self.prefix}[{first}{text[1:]},{named_text(named, self.arrays, self.where)}]"
