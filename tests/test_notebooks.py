"""The notebooks run from the first cell to the last, and are stored without outputs."""

from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))

#: What a reader must find in the outputs of each notebook.
WORDS = {"quickstart": ("critical: dead-relu", "critical | dead-relu | dense", "✓ Healthy")}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_stripped(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert cell.get("outputs", []) == [] and cell.get("execution_count") is None
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}


@pytest.mark.tensorflow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_and_names_the_finding(path, tmp_path):
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()
    told = "\n".join(map(said, notebook.cells))
    for words in WORDS[path.stem]:
        assert words in told


def said(cell: nbformat.NotebookNode) -> str:
    """Returns what is printed below a cell."""
    return "".join(output.get("text", "") for output in cell.get("outputs", []))
