"Every tutorial runs from its first cell to its last, on phantoms, with the weights of the smoke graph."
from pathlib import Path

import pytest

from covid_mtnet.runs import execute

TOP = Path(__file__).resolve().parents[1]
TUTORIALS = sorted((TOP / "nbs" / "tutorials").glob("*.ipynb"))


@pytest.mark.parametrize("notebook", TUTORIALS, ids=lambda p: p.stem)
def test_runs_from_the_first_cell_to_the_last(notebook, tmp_path, monkeypatch, capfd):
    if not (TOP / "runs" / "smoke" / "report.html").exists():
        pytest.skip("no weights from the smoke graph here: make reproduce")
    monkeypatch.chdir(tmp_path); monkeypatch.delenv("MPLBACKEND", raising=False)
    assert execute(notebook, tmp_path / "executed", {}, outputs=()), capfd.readouterr().out
