"""Sends JSON to an address while training goes on: by a thread, with patience, to no harm."""

from __future__ import annotations

import collections
import http.client
import json
import logging
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

#: Seconds to wait for an answer, before the second, third and fourth attempt, and at the end.
ANSWER_SECONDS, PAUSES_SECONDS, CLOSING_SECONDS = 5.0, (0.5, 2.0, 8.0), 3.0
#: Alerts that wait to be sent; what comes on top of them is dropped.
WAITING = 100
#: Answers that may be better next time: timeout, too early, too many requests.
_PASSING = (408, 425, 429)

_log = logging.getLogger("tfdiag")


class Alerts:
    """Posts to one address, in the order in which it is asked to. Nothing here raises.

    An alert is tried again where the fault may pass, and given up where it will not. Redirects
    are not followed: they would make a GET without content of it, or lead elsewhere.

    Args:
        url: as `checked_url` takes it.
    """

    def __init__(self, url: str):
        self._url = url
        # The rest of it is often a secret.
        self._host = urllib.parse.urlsplit(url).hostname
        self._opener = urllib.request.build_opener(_NoRedirect)
        self._waiting: collections.deque[bytes] = collections.deque()
        self._changed = threading.Condition()
        self._is_closing = self._has_failed = False
        self._given_up = threading.Event()
        self._thread: threading.Thread | None = None
        self._unsent = 0  # those that wait, and the one that is being sent

    def post(self, content: Mapping[str, Any]) -> None:
        """Lets a JSON object be sent, soon; returns at once."""
        try:
            body = json.dumps(content, allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            self._failed(f"{type(error).__name__}: {error}")
            return
        with self._changed:
            full = len(self._waiting) >= WAITING
            if not full:
                self._waiting.append(body)
                self._unsent += 1
                self._start()
                self._changed.notify()
        if full:
            self._failed(f"more than {WAITING} are waiting to be sent")

    def close(self, seconds: float = CLOSING_SECONDS) -> None:
        """Waits until all is sent, for a while; 0 leaves what is unsent to the thread."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        if self._thread is None or not seconds:
            return
        self._thread.join(seconds)
        if self._thread.is_alive():
            self._given_up.set()
            self._failed(f"{self._unsent} unsent {seconds:g} seconds after the end of training")

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="tfdiag-alerts", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._is_closing:
                    self._changed.wait()
                if not self._waiting or self._given_up.is_set():
                    return
                body = self._waiting.popleft()
            try:
                self._deliver(body)
            except Exception as error:  # whatever a server can make of an answer
                self._failed(f"{type(error).__name__}: {error}")
            with self._changed:
                self._unsent -= 1

    def _deliver(self, body: bytes) -> None:
        for pause in (*PAUSES_SECONDS, None):
            try:
                self._send(body)
                return
            except urllib.error.HTTPError as error:
                error.close()
                reason = f"it answered {error.code} {error.reason}"
                passes = error.code >= 500 or error.code in _PASSING
                if 300 <= error.code < 400:
                    reason += ", and redirects are not followed: name the final address"
            except (OSError, http.client.HTTPException) as error:
                reason = str(getattr(error, "reason", error)) or type(error).__name__
                passes = True
            if not passes or pause is None or self._given_up.wait(pause):
                self._failed(reason)
                return

    def _send(self, body: bytes) -> None:
        headers = {"Content-Type": "application/json", "User-Agent": "tfdiag"}
        request = urllib.request.Request(self._url, body, headers, method="POST")
        self._opener.open(request, timeout=ANSWER_SECONDS).close()

    def _failed(self, reason: str) -> None:
        with self._changed:
            said, self._has_failed = self._has_failed, True
        if not said:
            _log.warning(
                "tfdiag could not send an alert to %s, and training goes on: %s. This is said "
                "once.",
                self._host,
                reason,
            )


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        return None  # then the redirect itself is raised as an error


def checked_url(url: Any) -> str:
    """Returns an address to post to.

    Raises:
        ValueError: if it is none of http or https, or holds a password. What is said does not
            repeat it: such an address is often a secret.
    """
    if not isinstance(url, str):
        raise ValueError(f"`alert` is an address as text, but got {type(url).__name__}. {_SUCH_AS}")
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname, parts.port  # a wrong port raises here
    except ValueError as error:
        raise ValueError(f"`alert` is no address: {error}. {_SUCH_AS}") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError(
            f"`alert` must begin with https:// or http://, but begins with "
            f"{parts.scheme or url[:8]!r}. {_SUCH_AS}"
        )
    strange = any(character.isspace() or not character.isprintable() for character in url)
    if not host or port == 0 or strange or not url.isascii():
        raise ValueError(
            f"`alert` must name a host, and hold no spaces and ASCII alone. {_SUCH_AS}"
        )
    if parts.username is not None:
        raise ValueError(f"`alert` must hold no user and no password. {_SUCH_AS}")
    return url


_SUCH_AS = 'Use alert="https://example.org/hook", which takes a POST of JSON.'
