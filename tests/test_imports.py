"""The picture of who may import whom, as a table; and what loads without TensorFlow."""

import ast
import re
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
    "tfdiag.storage": "architecture data errors statistics trace",
    "tfdiag.comparison": "architecture metrics trace",
    "tfdiag.settings": "data trace",
    "tfdiag.report": "architecture metrics rules trace",
    "tfdiag.config": "errors rules trace",
    "tfdiag.export": "config rules",
    "tfdiag.alerts": "",
    "tfdiag.actions": "alerts metrics report rules trace",
    "tfdiag.sums": "statistics",
    "tfdiag.graph_sums": "statistics sums",
    "tfdiag.backend": "",
    "tfdiag.trainer": "backend",
    "tfdiag.distribution": "backend",
    "tfdiag.options": "architecture backend",
    "tfdiag.layers": "architecture backend options",
    "tfdiag.probe": "data",
    "tfdiag.predictions": "architecture data errors probe",
    "tfdiag.training_step": "backend distribution graph_sums sums trainer",
    "tfdiag.weights": "backend distribution sums",
    "tfdiag.capture": "cadence trainer training_step",
    "tfdiag.forward": "architecture backend data distribution layers predictions probe "
    "statistics sums trainer",
    "tfdiag.explain": "architecture backend errors forward",
    "tfdiag.gradcam_plus_plus": "errors explain forward",
    "tfdiag.gallery": "architecture errors explain gradcam_plus_plus picture probe",
    "tfdiag.instruments": "architecture backend cadence capture data distribution errors forward "
    "gallery layers metrics predictions probe statistics trainer training_step weights",
    "tfdiag.request": "actions config probe",
    "tfdiag.checkpoint": "backend trainer",
    "tfdiag.response": "actions alerts checkpoint rules trace trainer",
    "tfdiag.cadence": "",
    "tfdiag.judge": "config report rules trace",
    "tfdiag.record": "instruments metrics rules storage.schema storage.writer tfdiag trace",
    "tfdiag.recording": "actions cadence distribution forward instruments judge record request "
    "response rules storage.writer trace trainer training_step",
    "tfdiag.loop": "backend errors recording request trainer",
    "tfdiag.callbacks": "actions backend config errors gallery loop metrics probe recording "
    "request rules trainer",
    "tfdiag.lint": "backend data errors forward layers probe rules trace trainer",
    "tfdiag.demo": "callbacks errors report rules storage.reader tfdiag",
    "tfdiag.cli": "config demo errors lint report rules storage.reader tfdiag trace",
    "tensorboard_plugin": "architecture comparison config errors export metrics report rules "
    "settings storage tensorboard_plugin trace",
}

#: What may know that there is a Keras.
WITH_KERAS = {
    f"tfdiag.{name}"
    for name in (
        *(
            "backend",
            "distribution",
            "graph_sums",
            "trainer",
            "options",
            "layers",
            "training_step",
            "capture",
            "forward",
            "explain",
            "gradcam_plus_plus",
            "gallery",
            "weights",
            "instruments",
        ),
        *("request", "checkpoint", "response", "record", "recording", "loop", "callbacks"),
        *("lint", "demo"),
    )
}

#: What TensorBoard, the command line and a notebook on a small machine load.
WITHOUT_TENSORFLOW = (
    "tfdiag",
    "tfdiag.rules",
    "tfdiag.report",
    "tfdiag.alerts",
    "tfdiag.actions",
    "tfdiag.statistics",
    "tfdiag.config",
    "tfdiag.export",
    "tfdiag.storage.reader",
    "tfdiag.storage.writer",
    "tfdiag.cli",
    "tensorboard_plugin.loader",
    "tensorboard_plugin.plugin",
    "tensorboard_plugin.alone",
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


def private_uses(sources: dict[str, str]) -> list[str]:
    """Returns where Keras or TensorFlow is reached into, outside of `tfdiag.backend`."""
    return [
        f"{name}: {use}"
        for name, source in sources.items()
        if name != "tfdiag.backend"
        for use in (*_private_imports(source), *_private_names(ast.parse(source)))
    ]


def _private_imports(source: str) -> list[str]:
    own = ("keras.src", "tensorflow.python")
    return [target for target in imports(source) if any(_is_in(target, part) for part in own)]


def _private_names(tree: ast.AST) -> Iterator[str]:
    """Yields private names of what is not ours, as attributes or for `getattr` and its like."""
    ours, parts = set(_defined(tree)), set(_parts_of_names(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            is_ours = node.attr in ours and ast.unparse(node.value) in ("self", "cls")
            if _is_private(node.attr) and not is_ours:
                yield ast.unparse(node)
            elif ast.unparse(node) in ("keras.src", "tf.python", "tensorflow.python"):
                yield ast.unparse(node)
        elif isinstance(node, ast.Constant) and node not in parts:
            if _is_private(node.value) and node.value not in ours:
                yield repr(node.value)


def _parts_of_names(tree: ast.AST) -> Iterator[ast.AST]:
    """Yields texts that are added to others, such as the ends of our measures' names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield from node.values
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("endswith"):
            yield from node.args


def _is_private(name: object) -> bool:
    return isinstance(name, str) and re.fullmatch(r"_[a-zA-Z]\w*", name) is not None


def _defined(tree: ast.AST) -> Iterator[str]:
    """Yields the attributes that a module gives to its own classes, of which Keras has none."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            if isinstance(node, ast.Name) or ast.unparse(node.value) in ("self", "cls"):
                yield node.id if isinstance(node, ast.Name) else node.attr


def test_private_names_of_keras_are_known_to_the_backend_alone():
    assert private_uses(modules()) == []


def test_private_names_of_keras_are_known_to_no_test():
    tests = {path.stem: path.read_text() for path in (ROOT / "tests").glob("*.py")}
    ours = [
        "test_callbacks: callback._recording._run",
        "test_callbacks: callback._recording",
        "test_storage_histograms: run._record",
        "test_cli: cli._style",
    ]
    assert [use for use in private_uses(tests) if use not in ours] == []


@pytest.mark.parametrize(
    "source",
    [
        "import keras.src.backend",
        "from keras.src import ops",
        "def f():\n    from tensorflow.python.framework import ops",
        "import keras\nkeras.src.backend.x()",
        "layers = model._flatten_layers()",
        "getattr(model, '_inputs_struct', None)",
        "vars(layer)['_losses'] = []",
        "for name in ('_model',):\n    pass",
        "class A:\n    def f(self):\n        return self._layers",
        "class A:\n    def __init__(self, model):\n        self._layers = model._layers",
    ],
)
def test_a_private_name_is_seen(source):
    assert private_uses({"tfdiag.forward": source}) != []
    assert private_uses({"tfdiag.backend": source}) == []


def test_private_names_of_ours_are_no_matter():
    source = (
        "class A:\n    def __init__(self):\n        self._b = 1\n    def c(self):\n        self._b"
    )
    assert private_uses({"tfdiag.forward": source}) == []


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
