"""Alerts over HTTP, sent to servers that answer, wait, fail and are not there."""

import contextlib
import http.server
import json
import logging
import math
import socket
import threading
import time

import pytest

from tfdiag import alerts
from tfdiag.alerts import Alerts, checked_url


@pytest.fixture(autouse=True)
def direct(monkeypatch):
    """Lets the loopback interface be reached past any proxy, and attempts follow quickly."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(alerts, "PAUSES_SECONDS", (0.01, 0.01, 0.01))


@contextlib.contextmanager
def server(answers=(200,), wait=0.0, headers=()):
    """Yields an address and what was posted to it; the last of the answers is repeated."""
    received, left, seen = [], list(answers), threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.path, self.headers["Content-Type"], json.loads(body)))
            seen.wait(wait)
            with contextlib.suppress(ConnectionError):
                self.send_response(left.pop(0) if len(left) > 1 else left[0])
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

        do_GET = do_POST

        def log_message(self, *args):
            pass

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = False
    thread = threading.Thread(target=running.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{running.server_port}/hook/secret", received
    finally:
        seen.set()
        running.shutdown()
        thread.join()
        running.server_close()


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "tfdiag"]


def test_alerts_arrive_in_their_order(caplog):
    with server() as (url, received):
        sender = Alerts(url)
        for number in range(5):
            sender.post({"number": number, "text": "é"})
        sender.close()
    expected = [("/hook/secret", "application/json", {"number": n, "text": "é"}) for n in range(5)]
    assert received == expected
    assert not warnings(caplog)


@pytest.mark.parametrize("passing", [500, 503, 429])
def test_a_fault_that_passes_is_tried_again(passing, caplog):
    with server([passing, passing, 204]) as (url, received):
        sender = Alerts(url)
        sender.post({"a": 1})
        sender.close()
    assert len(received) == 3 and not warnings(caplog)


@pytest.mark.parametrize(("answer", "attempts"), [(404, 1), (500, 4)])
def test_what_fails_is_given_up_and_said_once_without_the_address(answer, attempts, caplog):
    with server([answer]) as (url, received):
        sender = Alerts(url)
        for number in range(3):
            sender.post({"number": number})
        sender.close()
    assert len(received) == 3 * attempts
    (said,) = warnings(caplog)
    assert f"it answered {answer}" in said and "127.0.0.1" in said
    assert "secret" not in said


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/x", "/elsewhere"])
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(target, code, caplog):
    with server([code], headers=[("Location", target)]) as (url, received):
        sender = Alerts(url)
        sender.post({})
        sender.close()
    assert [path for path, *_ in received] == ["/hook/secret"]
    assert "redirects are not followed" in warnings(caplog)[0]


def test_an_absent_server_is_no_matter(caplog):
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    sender = Alerts(f"http://127.0.0.1:{port}/")
    started = time.perf_counter()
    sender.post({})
    assert time.perf_counter() - started < 0.2
    sender.close()
    assert "refused" in warnings(caplog)[0]


def test_a_slow_server_holds_up_nothing_but_the_end_and_that_not_for_long(caplog):
    with server(wait=30) as (url, received):
        sender = Alerts(url)
        started = time.perf_counter()
        for number in range(3):
            sender.post({"number": number})
        assert time.perf_counter() - started < 0.2
        sender.close(0.3)
        assert time.perf_counter() - started < 1
        assert len(received) <= 1
    (said,) = warnings(caplog)
    assert "3 unsent" in said


def test_a_server_that_never_answers_is_left_after_a_while(monkeypatch, caplog):
    monkeypatch.setattr(alerts, "ANSWER_SECONDS", 0.05)
    with server(wait=30) as (url, received):
        sender = Alerts(url)
        sender.post({})
        sender.close()
        assert len(received) == 4
    assert "timed out" in warnings(caplog)[0]


def test_what_is_no_http_is_a_failure(caplog):
    def talk():
        for _ in range(4):
            connection, _ = held.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"hello\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as held:
        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        sender = Alerts(f"http://127.0.0.1:{held.getsockname()[1]}/")
        sender.post({})
        sender.close()
        thread.join(5)
    assert len(warnings(caplog)) == 1


def test_the_queue_is_bounded(monkeypatch, caplog):
    monkeypatch.setattr(alerts, "WAITING", 2)
    with server(wait=30) as (url, _):
        sender = Alerts(url)
        for number in range(20):
            sender.post({"number": number})
        assert "more than 2 are waiting" in warnings(caplog)[0]
        sender.close(0.05)
    assert len(warnings(caplog)) == 1


def test_what_is_no_json_is_a_failure_and_no_exception(caplog):
    sender = Alerts("http://127.0.0.1:9/")
    sender.post({"value": math.nan})
    sender.post({"value": object()})
    sender.close()
    assert len(warnings(caplog)) == 1


def test_leaving_lets_the_thread_send_what_waits_and_end():
    with server(wait=0.1) as (url, received):
        sender = Alerts(url)
        sender.post({"a": 1})
        sender.post({"a": 2})
        sender.close(0)
        deadline = time.monotonic() + 5
        while any(t.name == "tfdiag-alerts" for t in threading.enumerate()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert len(received) == 2


def test_without_an_alert_there_is_no_thread():
    Alerts("http://127.0.0.1:9/").close()
    logging.getLogger("tfdiag")  # and nothing was logged: warnings are errors here
    assert not [t for t in threading.enumerate() if t.name == "tfdiag-alerts"]


@pytest.mark.parametrize("url", ["https://example.org/hook?x=1", "http://127.0.0.1:80", "HTTP://a"])
def test_addresses_that_serve(url):
    assert checked_url(url) == url


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (3, "an address as text, but got int"),
        ("file:///secret", "begins with 'file'"),
        ("ftp://host/secret", "begins with 'ftp'"),
        ("host/secret", "begin with https"),
        ("http:///secret", "name a host"),
        ("http://a b/secret", "no spaces"),
        ("http://host/secret\r\nX: y", "no address|no spaces"),
        ("http://höst/secret", "ASCII"),
        ("http://host:99999/secret", "no address"),
        ("http://host:0/secret", "name a host"),
        ("http://[::1/secret", "no address"),
        ("http://me:secret@host/", "no user and no password"),
    ],
)
def test_addresses_that_do_not_serve_are_not_repeated(url, says):
    with pytest.raises(ValueError, match=says) as error:
        checked_url(url)
    assert "secret" not in str(error.value)
