"""The picture of who may import whom, as a table; and what loads without TensorFlow."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

#: Module or package: what of ours it may import. From the record in the middle outwards.
PICTURE = {
    "tfdiag": "errors",
    "tfdiag.errors": "",
    "tfdiag.architecture": "",
    "tfdiag.metrics": "",
    "tfdiag.statistics": "",
    "tfdiag.picture": "",
    "tfdiag.data": "",
    "tfdiag.trace": "architecture data",
    "tfdiag.rules": "architecture data errors metrics trace",
    "tfdiag.storage": "architecture data errors trace",
    "tfdiag.report": "rules trace",
    "tfdiag.sums": "statistics",
    "tfdiag.graph_sums": "statistics sums",
    "tfdiag.backend": "",
    "tfdiag.options": "architecture backend",
    "tfdiag.layers": "architecture backend options",
    "tfdiag.probe": "data",
    "tfdiag.capture": "backend graph_sums sums",
    "tfdiag.forward": "architecture backend data layers probe statistics sums",
    "tfdiag.explain": "architecture backend errors forward",
    "tfdiag.gradcam_plus_plus": "errors explain forward",
    "tfdiag.gallery": "architecture errors explain gradcam_plus_plus picture probe",
    "tfdiag.instruments": "architecture backend capture data errors forward gallery layers "
    "metrics probe statistics",
    "tfdiag.request": "probe",
    "tfdiag.cadence": "",
    "tfdiag.judge": "report rules trace",
    "tfdiag.recording": "cadence capture forward instruments judge metrics probe request "
    "storage.schema storage.writer trace",
    "tfdiag.callbacks": "errors gallery metrics probe recording request rules",
    "tfdiag.lint": "architecture data errors forward layers probe rules trace",
    "tfdiag.demo": "callbacks errors report rules storage.reader tfdiag",
    "tfdiag.cli": "demo errors report rules storage.reader tfdiag",
    "tensorboard_plugin": "architecture errors metrics report rules storage tensorboard_plugin",
}

#: What may know that there is a Keras.
WITH_KERAS = {
    f"tfdiag.{name}"
    for name in (
        *(
            "backend",
            "graph_sums",
            "options",
            "layers",
            "capture",
            "forward",
            "explain",
            "gradcam_plus_plus",
            "gallery",
            "instruments",
        ),
        *("request", "recording", "callbacks", "lint", "demo"),
    )
}

#: What TensorBoard, the command line and a notebook on a small machine load.
WITHOUT_TENSORFLOW = (
    "tfdiag",
    "tfdiag.rules",
    "tfdiag.report",
    "tfdiag.statistics",
    "tfdiag.storage.reader",
    "tfdiag.storage.writer",
    "tfdiag.cli",
    "tensorboard_plugin.loader",
    "tensorboard_plugin.plugin",
)


def modules() -> dict[str, str]:
    """Returns each module's name and source."""
    paths = [*ROOT.glob("tfdiag/**/*.py"), *ROOT.glob("tensorboard_plugin/*.py")]
    names = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths}
    return {name.removesuffix(".__init__"): path.read_text() for path, name in names.items()}


def imports(source: str) -> Iterator[str]:
    """Yields what `source` imports, wherever in it, with the names after `from`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def unit(module: str) -> str:
    """Returns the row of the table that `module` belongs to; "" if it is none of ours."""
    fits = [row for row in PICTURE if f"{module}.".startswith(f"{row}.")]
    return max(fits, key=len, default="")


def violations(sources: dict[str, str]) -> list[str]:
    """Returns each import against the picture."""
    found = []
    for name, source in sources.items():
        row = unit(name)
        allowed = [word if word in PICTURE else f"tfdiag.{word}" for word in PICTURE[row].split()]
        for target in imports(source):
            package = target.split(".")[0]
            if package in ("tensorflow", "keras", "tf_keras_vis") and row not in WITH_KERAS:
                found.append(f"{name} imports {target}")
            if unit(target) not in ("", row) and not any(
                _is_in(target, module) for module in allowed
            ):
                found.append(f"{name} imports {target}")
    return found


def _is_in(target: str, module: str) -> bool:
    if module == "tfdiag":  # the public names alone, not all that is below
        return unit(target) == "tfdiag"
    return f"{target}.".startswith(f"{module}.")


def test_imports_follow_the_picture():
    assert violations(modules()) == []


def test_every_module_is_in_the_picture():
    missing = [name for name in modules() if name != "tfdiag" and unit(name) == "tfdiag"]
    assert missing == [], "add a row to PICTURE"


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("tfdiag.rules.x", "import tensorflow as tf"),
        ("tfdiag.storage.x", "def f():\n    from keras import ops"),
        ("tfdiag.rules.x", "from tfdiag.storage import reader"),
        ("tfdiag.rules.x", "from tfdiag import report"),
        ("tfdiag.capture", "from tfdiag.explain import cam"),
        ("tfdiag.report", "import tfdiag.cli"),
        ("tfdiag.trace", "import tensorboard_plugin.plugin"),
        ("tfdiag.recording", "from tfdiag.storage.reader import load"),
    ],
)
def test_a_wrong_import_is_seen(name, source):
    assert violations({name: source}) != []


def loads_tensorflow(module: str) -> bool:
    """Returns True if importing `module` in a new process brings TensorFlow or Keras with it."""
    code = (
        f"import sys, {module}\nsys.exit(17 if {{'tensorflow', 'keras'}} & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode in (0, 17), done.stderr
    return done.returncode == 17


@pytest.mark.parametrize("module", WITHOUT_TENSORFLOW)
def test_module_loads_without_tensorflow(module):
    assert not loads_tensorflow(module)


@pytest.mark.tensorflow
def test_loading_tensorflow_is_seen():
    assert loads_tensorflow("tfdiag.capture")


def test_entry_point_loads_nothing_but_its_base():
    (source,) = [source for name, source in modules().items() if name.endswith(".loader")]
    top = [node for node in ast.parse(source).body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert list(imports(ast.unparse(top))) == ["tensorboard.plugins.base_plugin"]
