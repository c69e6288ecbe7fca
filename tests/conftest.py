"""Fixtures that several test files share."""

import os

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    return _required((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    return _required((yield))


def _required(report):
    """Makes a skip a failure where everything must run, as in `make test`."""
    if report.skipped and os.environ.get("TFDIAG_REQUIRE_ALL"):
        report.outcome = "failed"
    return report


#: Run by `test_distribution.py`, each in a process of its own.
collect_ignore = ["distribution/mirrored.py", "distribution/workers.py", "distribution/watch.py"]
