"""`tfdiag view`: the Health tab in a window of its own, without TensorBoard's page around it.

TensorBoard itself reads the log folder and answers; only its front door leads to the tab.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import types
from collections.abc import Callable
from typing import Any

from tfdiag.errors import TfdiagError

#: What TensorBoard's own page loads into the tab's frame.
_TAB = "data/plugin_entry.html?name=tfdiag"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("logdir", help="log folder with one or more recorded runs")
    parser.add_argument(
        "--port", type=int, help="where to listen (default: the first free one from 6006 on)"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: this machine alone)"
    )


def main(options: argparse.Namespace) -> int:
    """Serves the tab until Ctrl-C.

    Raises:
        TfdiagError: if there is no such folder, or the port is taken.
    """
    address = serve(options.logdir, options.host, options.port)
    try:
        print(f"The health of {options.logdir} is at {address} (Ctrl-C ends this)", flush=True)
        threading.Event().wait()
    except KeyboardInterrupt:
        print()
    return 0


def serve(logdir: str, host: str, port: int | None) -> str:
    """Starts to serve, in a thread of its own, and returns the address of the tab.

    Raises:
        TfdiagError: as `main`.
    """
    folder = os.path.expanduser(logdir)
    if "://" not in folder and not os.path.isdir(folder):
        raise TfdiagError(
            f"{logdir!r} is not a folder. Pass the log folder that was given to HealthMonitor, or "
            "one above it."
        )
    # Named so, TensorBoard does without TensorFlow: importing it takes ten seconds.
    sys.modules.setdefault("tensorboard.compat.notf", types.ModuleType("notf"))
    from tensorboard import program
    from tensorboard.plugins.core.core_plugin import CorePluginLoader

    from tensorboard_plugin.loader import HealthLoader

    board = program.TensorBoard(
        plugins=[CorePluginLoader(), HealthLoader()],
        server_class=lambda app, flags: program.create_port_scanning_werkzeug_server(
            _leading_to_the_tab(app), flags
        ),
    )
    board.configure(logdir=folder, host=host, port=port)
    try:
        return board.launch()
    except program.TensorBoardServerException as error:
        where = host if port is None else f"{host}, port {port}"
        raise TfdiagError(
            f"Cannot listen on {where}: {error.msg} Choose another with --port or --host."
        ) from error


def _leading_to_the_tab(app: Callable) -> Callable:
    """Returns the WSGI application `app` with the tab in the place of TensorBoard's page."""

    def application(environ: dict[str, Any], start_response: Callable) -> Any:
        if environ.get("PATH_INFO", "/") not in ("", "/"):
            return app(environ, start_response)
        start_response("302 Found", [("Location", _TAB), ("Content-Type", "text/plain")])
        return [b""]

    return application
