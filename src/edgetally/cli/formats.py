"""`edgetally formats`: the log formats that are known by name, and what can be pasted."""

from __future__ import annotations

import argparse

from edgetally.formats.catalogue import FORMATS, PASTED


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """It has no options."""


def run(_options: argparse.Namespace) -> int:
    """Print the formats with their examples."""
    print("By name:")
    for known in FORMATS.values():
        print(f"\n{known.name}: {known.description}\n    {known.example}")
        for warning in known.warnings:
            print(f"    note: {warning}")
    print("\nPasted with --log-format, as the whole directive or as the format alone:\n")
    for server, (directive, example) in PASTED.items():
        print(f"{server}: {directive}\n    {example}")
    return 0
