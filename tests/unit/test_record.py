"""Records are what `typing.NamedTuple` makes, for all that is used of it."""

from __future__ import annotations

import copy
import pickle
import typing

import pytest

from edgetally import record


class Own(record.NamedTuple):
    """With a default, a method and a property."""

    name: str
    size: int = 5

    @property
    def double(self) -> int:
        """Computed."""
        return 2 * self.size

    @classmethod
    def of(cls, text: str) -> Own:
        """Made of a text."""
        return cls(text, len(text))


class Theirs(typing.NamedTuple):
    """The same fields."""

    name: str
    size: int = 5


class Wider(Own):
    """Has what is not in the tuple."""

    seen = 0


def test_a_record_is_a_tuple_as_pythons_own() -> None:
    for mine, its in ((Own("a"), Theirs("a")), (Own(size=1, name="b"), Theirs(size=1, name="b"))):
        assert mine == tuple(mine) == tuple(its)
        assert hash(mine) == hash(its)
        assert (mine.name, mine.size) == (its.name, its.size)
        assert mine._asdict() == its._asdict()
        assert mine._replace(size=7) == tuple(its._replace(size=7))
        assert pickle.loads(pickle.dumps(mine)) == copy.deepcopy(mine) == mine
        assert repr(mine).replace("Own", "Theirs") == repr(its)
    assert Own._fields == Theirs._fields
    assert Own._field_defaults == Theirs._field_defaults
    assert Own._make(["a", 2]) == tuple(Theirs._make(["a", 2]))
    assert type(Own("a")._replace(size=2)) is Own
    assert Own.of("abc").double == 6


def test_a_record_has_no_other_attributes_and_does_not_change() -> None:
    for name in ("size", "other"):
        with pytest.raises(AttributeError):
            setattr(Own("a"), name, 1)


@pytest.mark.parametrize(
    ("values", "named"), [((), {}), (("a", 1, 2), {}), (("a",), {"name": "b"}), (("a",), {"length": 1})]
)
def test_fields_that_are_missing_or_too_many_are_refused(values: tuple[object, ...], named: dict[str, object]) -> None:
    for kind in (Own, Theirs):
        with pytest.raises(TypeError):
            kind(*values, **named)  # type: ignore[arg-type]


def test_a_class_of_a_record_may_have_more() -> None:
    wider = Wider("a")
    wider.seen = 3
    assert (wider, wider.seen, type(wider._replace(size=1))) == (("a", 5), 3, Wider)
