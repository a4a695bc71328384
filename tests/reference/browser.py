"""Opens a page in a headless browser, runs a script in it, and tells what the page says then and what went wrong."""

import json
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import NamedTuple

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SECONDS = 120


class Seen(NamedTuple):
    """A page after its script."""

    told: dict  # what the script handed to `tell`
    errors: list[str]  # lines of the console


def _headless(folder: Path) -> list[str]:
    """The browser without a window, its profile in the folder. Skips where there is none."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        pytest.skip(f"needs a browser: {', '.join(BROWSERS)}")
    profile = f"--user-data-dir={folder / 'profile'}"
    return [browser, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1280,900", profile]


def browse(page: Path, script: str, dark: bool = False) -> Seen:
    """Open the page; the script calls `tell({...})` once. Skips where there is no browser."""
    tell = "const tell = (what) => { document.title = 'TOLD' + JSON.stringify(what); };"
    changed = page.with_name(f"browsed-{page.name}")
    changed.write_text(page.read_text().replace("</body>", f"<script>{tell}{script}</script></body>"))
    command = [
        *_headless(page.parent), "--enable-logging=stderr", "--virtual-time-budget=30000", "--dump-dom",
        *(["--blink-settings=preferredColorScheme=0"] if dark else []), changed.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    title = done.stdout.partition("<title>TOLD")[2].partition("</title>")[0]
    errors = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert title, f"the script told nothing: {errors or done.stderr[-500:]}"
    return Seen(json.loads(unescape(title)), errors)


def visit(address: str, folder: Path, milliseconds: int = 20_000) -> str:
    """The text of a page of a server once its scripts have run."""
    command = [*_headless(folder), f"--virtual-time-budget={milliseconds}", "--dump-dom", address]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True).stdout
