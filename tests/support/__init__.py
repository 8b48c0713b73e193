"""What tests share: an edge in a folder, real servers, a browser and axe in it, a log with everything odd in it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"
