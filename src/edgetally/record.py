"""Named tuples and typed dictionaries as `typing` has them, for what an edge loads at every run.

Python makes each of its own by compiling a text, which takes 0.3 ms, and `typing` takes 2 ms to load; a run of `ship`
declares twenty. Making one of these is slower than one of Python's: what is made by the million wants `typing`'s.
"""

from __future__ import annotations

from operator import itemgetter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
    from typing import NamedTuple as NamedTuple
    from typing import TypedDict as TypedDict
else:
    TypedDict = dict  # which it is when a program runs

    class _Kind(type):
        """Makes the classes: their fields are what is annotated, and have a default where one is given."""

        def __new__(kind, name, bases, space):
            if any(getattr(base, "_fields", ()) for base in bases):  # a class with what is not in the tuple
                return super().__new__(kind, name, bases, space)
            fields = tuple(space.get("__annotations__", ()))
            defaults = {field: space[field] for field in fields if field in space}
            own = {field: property(itemgetter(place)) for place, field in enumerate(fields)}
            names = {"__slots__": (), "_fields": fields, "_field_defaults": defaults, "__match_args__": fields}
            return super().__new__(kind, name, bases, {**space, **own, **names})

    class NamedTuple(tuple, metaclass=_Kind):
        """The base of a class whose annotated names are the fields of a tuple."""

        def __new__(cls, *values, **named):
            if named or len(values) != len(cls._fields):
                values = _complete(cls, values, named)
            return tuple.__new__(cls, values)

        @classmethod
        def _make(cls, values):
            return cls(*values)

        def _replace(self, **named):
            return type(self)(**{**self._asdict(), **named})

        def _asdict(self):
            return dict(zip(self._fields, self))

        def __getnewargs__(self):
            return tuple(self)

        def __repr__(self):
            return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._asdict().items())})"


def _complete(kind: Any, values: tuple[Any, ...], named: dict[str, Any]) -> list[Any]:
    """A value for each field: by its place, by its name, or its default."""
    found = {**kind._field_defaults, **dict(zip(kind._fields, values)), **named}
    twice = named.keys() & set(kind._fields[: len(values)])
    if len(values) > len(kind._fields) or twice or found.keys() != set(kind._fields):
        raise TypeError(f"{kind.__name__} has the fields {', '.join(kind._fields)}, each once")
    return [found[name] for name in kind._fields]
