"""The package as users get it: built, installed without TensorFlow, and started."""

import email
import json
import os
import shutil
import subprocess
import sys
import urllib.request
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.recordings import record
from tests.tensorboards import tensorboard

ROOT = Path(__file__).parent.parent
FRONTEND = "tensorboard_plugin/frontend/"

pytestmark = pytest.mark.wheel

Run = Callable[..., subprocess.CompletedProcess]


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> Path:
    """A copy of what is in git: nothing that an earlier build left behind comes into the wheel."""
    folder = tmp_path_factory.mktemp("sources")
    for name in tracked("."):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def wheel(sources, tmp_path_factory) -> Path:
    """The wheel, built from the source distribution as for a release."""
    out = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(out), str(sources)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (found,) = out.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def run(wheel, tmp_path_factory) -> Run:
    """Runs a program of a new environment in which only the wheel is installed."""
    home = tmp_path_factory.mktemp("clean")
    venv.create(home, with_pip=True)
    own = ("PYTHONPATH", "KERAS_BACKEND", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if name not in own}

    def run(program: str, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [str(home / "bin" / program), *arguments],
            cwd=home,
            env=environment,
            capture_output=True,
            text=True,
        )

    pip = run("python", "-m", "pip", "install", "--quiet", "--no-compile", str(wheel))
    assert pip.returncode == 0, pip.stderr[-3000:]
    run.home = home
    return run


@pytest.fixture(scope="module")
def log_dir(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    record(folder / "run")
    return folder


def tracked(*paths: str) -> list[str]:
    """Returns the files of the repository, with those that are about to be committed."""
    names = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *paths]
    listed = subprocess.run(names, cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_wheel_holds_the_packages_and_the_built_frontend_alone(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    packed = {name for name in names if ".dist-info/" not in name}
    ours = tracked("tfdiag", "tensorboard_plugin")
    assert packed == {name for name in ours if not name.startswith(FRONTEND)}
    assert "tensorboard_plugin/static/index.js" in packed
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_wheel_needs_no_tensorflow_and_offers_it(wheel):
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
    metadata = email.message_from_bytes(archive.read(name))
    needed = metadata.get_all("Requires-Dist")
    base = {requirement for requirement in needed if "extra ==" not in requirement}
    assert base == {
        "numpy>=1.26",
        "keras>=3.10",
        "rich",
        "tensorboard>=2.18",
        "tf-keras-vis>=0.8.7",
        'tomli; python_version < "3.11"',
    }
    assert any(requirement.startswith("tensorflow>=") for requirement in needed)
    assert metadata["License"] == "Apache-2.0"


def test_import_costs_nothing_and_a_callback_says_what_to_install(run):
    code = "import sys, tfdiag; assert 'keras' not in sys.modules; tfdiag.HealthMonitor('logs')"
    done = run("python", "-c", code)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("tfdiag.errors.TfdiagError: ")
    assert "'tensorflow' is not installed" in last
    assert "pip install 'tfdiag[tensorflow]'" in last


def test_demo_says_what_to_install(run):
    done = run("tfdiag", "demo", "--no-tensorboard")
    assert done.returncode == 2
    assert done.stderr.startswith("tfdiag: ") and done.stderr.count("\n") == 1
    assert "pip install 'tfdiag[tensorflow,demo]'" in done.stderr


def test_check_judges_a_recording(run, log_dir):
    done = run("tfdiag", "check", str(log_dir), "--format", "json")
    assert done.returncode == 0, done.stderr
    (judged,) = json.loads(done.stdout)["runs"]
    assert (judged["run"], judged["step"]) == ("run", 5)


def test_tensorboard_has_the_tab(run, log_dir):
    with tensorboard(log_dir, command=[str(run.home / "bin" / "tensorboard")]) as address:
        tab = json.loads(fetch(f"{address}data/plugins_listing"))["tfdiag"]
        assert tab["tab_name"] == "Health"
        script = fetch(address + "data/plugin/tfdiag/static/index.js")
        assert script == (ROOT / "tensorboard_plugin/static/index.js").read_bytes()


def fetch(address: str) -> bytes:
    with urllib.request.urlopen(address) as answer:
        return answer.read()
