"""axe-core in a browser: what in a page hinders people who see little, or who use a keyboard or a screen reader."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome

# axe-core 4.12.1 as it was released; the package that carries it has put a line end behind it
SOURCE = Path(sys.prefix) / "axe" / "axe_playwright_python" / "axe.min.js"
RELEASED = "66a8aaa95a8b044a7fd74a5435873bf04ff65a1ca75567c921b7509742085a14"
# WCAG 2.0, 2.1 and 2.2, levels A and AA, and what axe calls best practices
TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
_RUN = """
const [tags, done] = arguments;
axe.run({ runOnly: tags, resultTypes: ["violations", "incomplete"] }).then(done);
"""
_CONTRAST = """
const { Color, getContrast } = axe.commons.color;
const shown = document.body.appendChild(document.createElement("i"));
const colour = (name) => {
    const made = new Color();
    if (!getComputedStyle(shown).getPropertyValue(name)) throw Error(`the page has no ${name}`);
    shown.style.color = `var(${name})`;
    made.parseString(getComputedStyle(shown).color);
    return made;
};
return arguments[1].map((name) => getContrast(colour(arguments[0]), colour(name)));
"""


@cache
def script() -> str:
    """axe, once its bytes are those of the release."""
    assert SOURCE.exists(), (
        f"{SOURCE} is not there: run tests/setup servers, and the tests with the Python that it made"
    )
    text = SOURCE.read_bytes().rstrip(b"\n")
    assert hashlib.sha256(text).hexdigest() == RELEASED, f"{SOURCE} is not the release of axe-core that RELEASED names"
    return text.decode()


def findings(driver: Chrome) -> list[str]:
    """What breaks a rule in the page as it is shown now, or may: the rule, the element, and why.

    axe cannot tell the contrast of text in an SVG: contrasts() is for that.
    """
    driver.execute_script(script())
    found: dict[str, Any] = driver.execute_async_script(_RUN, TAGS)
    assert found["passes"], "axe has looked at nothing"
    return [line for one in (*found["violations"], *found["incomplete"]) for line in _lines(one)]


def _lines(rule: dict[str, Any]) -> Iterator[str]:
    for node in rule["nodes"]:
        if (rule["id"], node["html"][:6]) != ("color-contrast", "<text "):
            yield f"{rule['id']}: {' '.join(node['target'])}: {' '.join(node['failureSummary'].split())}"


def contrasts(driver: Chrome, paper: str, inks: Sequence[str]) -> list[float]:
    """The contrast, 1 to 21, of each ink with the paper. Colours are named as the page's CSS does, such as --ink."""
    driver.execute_script(script())
    return list(driver.execute_script(_CONTRAST, paper, inks))
