"""The page of the fields: it is what the code says."""

from __future__ import annotations

from tests.fields.page import PAGE, page


def test_the_page_of_the_fields_is_what_they_are_read_as() -> None:
    assert page() == PAGE.read_text(), "run python -m tests.fields.page"
