"""`python -m edgetally`, and the entry of edgetally.pyz."""

from edgetally.cli.startup import run

run()
