"""Finds Chromium or Chrome; run as a program, installs Debian's where that is possible."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome")
#: For a page that is served from this machine and may not ask anything of another one.
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)
MISSING = (
    "The browser tests need Chromium or Chrome, but none of "
    f"{', '.join(NAMES)} is on the PATH. Install one (Debian: apt-get install chromium), or set "
    "CHROMIUM to the program's path."
)


def find() -> str | None:
    """Returns the path of the browser: $CHROMIUM, or the first name that is on the PATH."""
    paths = (shutil.which(name) for name in (os.environ.get("CHROMIUM") or "", *NAMES))
    return next(filter(None, paths), None)


def path() -> str:
    """Returns the path of the browser.

    Raises:
        FileNotFoundError: if there is none.
    """
    found = find()
    if found is None:
        raise FileNotFoundError(MISSING)
    return found


def main() -> int:
    """Installs Debian's package if there is no browser and we may; says what to do if not."""
    if find() is None and os.geteuid() == 0 and shutil.which("apt-get"):
        print("Installing Debian's chromium for the browser tests ...", flush=True)
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = ("install", "--yes", "--no-install-recommends", "chromium")
        for words in (("update",), install):
            done = subprocess.run(
                ["apt-get", "-qq", *words],
                env=quiet,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            if done.returncode:
                print(done.stdout[-2000:], file=sys.stderr)
    if find() is None:
        print(MISSING, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
