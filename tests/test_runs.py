"Parameters arrive or the run fails, through the command line as through the library."
from pathlib import Path

import nbformat
import pytest

from covid_mtnet import cli, phantoms
from covid_mtnet.core import InputError, read_json, resource, sha256
from covid_mtnet.graph import load_profile
from covid_mtnet.manifests import load
from covid_mtnet.runs import Run, check_parameters, execute


def notebook(path, *sources, tagged=True):
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in sources])
    if tagged: nb.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(nb, path)
    return path


def test_a_value_that_is_given_is_the_value_that_the_notebook_sees(tmp_path):
    body = "from covid_mtnet.core import write_json\nwrite_json(f'{out_dir}/seen.json', epochs)"
    nb = notebook(tmp_path / "n.ipynb", "epochs = 75\nout_dir = ''", body)
    assert execute(nb, tmp_path / "out", {"epochs": 3}, outputs=("seen.json",))
    assert read_json(tmp_path / "out" / "seen.json") == 3


def test_a_notebook_that_lost_its_tag_does_not_run(tmp_path):
    nb = notebook(tmp_path / "n.ipynb", "epochs = 75", "print(epochs)", tagged=False)
    with pytest.raises(InputError, match="exactly one cell tagged parameters, found 0"):
        execute(nb, tmp_path / "out", {"epochs": 3})
    assert not (tmp_path / "out" / "notebook.ipynb").exists()


def test_a_misspelt_parameter_does_not_run(tmp_path):
    nb = notebook(tmp_path / "n.ipynb", "epochs = 75", "print(epochs)")
    with pytest.raises(InputError, match="'epoch'.*did you mean 'epochs'"): execute(nb, tmp_path / "out", {"epoch": 3})


def test_a_parameter_that_nothing_reads_does_not_run(tmp_path):
    nb = notebook(tmp_path / "n.ipynb", "epochs = 75\nrate = .1", "epochs = 3\nprint('epochs')", "print(rate)")
    with pytest.raises(InputError, match="epochs is read nowhere"): execute(nb, tmp_path / "out", {"epochs": 3})


def test_two_parameter_cells_do_not_run(tmp_path):
    nb = notebook(tmp_path / "n.ipynb", "a = 1", "print(a)")
    two = nbformat.read(nb, 4); two.cells[1].metadata["tags"] = ["parameters"]; nbformat.write(two, nb)
    with pytest.raises(InputError, match="found 2"): check_parameters(nb, {})


def test_promised_outputs_must_be_written(tmp_path, capsys):
    nb = notebook(tmp_path / "n.ipynb", "a = 1", "print(a)")
    (tmp_path / "out").mkdir(); (tmp_path / "out" / "metrics.json").write_text("{}")  # of an earlier run
    assert not execute(nb, tmp_path / "out", {}, outputs=("metrics.json", "history.csv"))
    assert "it ended without metrics.json, history.csv" in capsys.readouterr().out


@pytest.mark.parametrize("profile", ["smoke", "laptop", "paper"])
def test_every_profile_fits_its_notebooks(profile):
    for task in load_profile(profile)["tasks"].values():
        check_parameters(resource(task["notebook"]), task["parameters"])


def test_what_an_earlier_run_left_goes_and_what_is_not_of_a_run_stays(tmp_path):
    mine = [tmp_path / n for n in ("mine.csv", "notes.json", "checkpoint.npz", "trained.json")]
    left = [tmp_path / n for n in ("predictions.csv", "healthy_old.csv", "figures/fig99.png")]
    (tmp_path / "figures").mkdir()
    for p in mine + left: p.write_text("x")
    Run(tmp_path, "t", "interactive", 0)
    assert all(p.exists() for p in mine + left)  # no run was ever here
    (tmp_path / "metrics.json").write_text("{}")
    Run(tmp_path, "t", "interactive", 0)
    assert all(p.exists() for p in mine) and not any(p.exists() for p in left)


def test_a_run_that_begins_anew_is_not_taken_for_a_finished_one(tmp_path):
    Run(tmp_path, "t", "interactive", 0).metrics([dict(id="a", value=1.)], {})
    (tmp_path / "provenance.json").write_text("{}")
    Run(tmp_path, "t", "interactive", 0)
    assert not (tmp_path / "metrics.json").exists() and not (tmp_path / "provenance.json").exists()


def test_one_phantom_set_makes_a_phantom_run_whatever_else_it_reads(tmp_path):
    phantoms.write_root(tmp_path / "data", n=12, size=32, sets=["covid_ct"])
    made, real = load("covid_ct", tmp_path / "data"), load("pneumonia_xray")
    for sets, phantom in (([made, real], True), ([real, made], True), ([real], False)):
        run = Run(tmp_path / "out", "t", "interactive", 0)
        for s in sets: run.uses(s)
        assert run.phantom == phantom and run.sets == {s.name: s.digest for s in sets}


def test_a_network_that_is_taken_is_known_by_what_is_in_its_file(tmp_path):
    run, other = Run(tmp_path / "out", "t", "interactive", 0), tmp_path / "chest_seg_xray"
    (other / "nabla3").mkdir(parents=True)
    with pytest.raises(InputError, match="weights of a finished run"): run.takes(other, "nabla3/model.weights.h5")
    for content in (b"one", b"two"):
        (other / "nabla3" / "model.weights.h5").write_bytes(content)
        assert run.takes(other, "nabla3/model.weights.h5").read_bytes() == content
        assert run.networks == {"chest_seg_xray/nabla3/model.weights.h5": sha256(content)}


def test_other_modules_are_other_code(tmp_path):
    run = Run(tmp_path, "t", "interactive", 0)
    assert run.code("core") == run.code("core")
    assert len({run.code("core"), run.code("claims"), run.code("core", "claims")}) == 3


def test_wrong_usage_is_exit_code_2(capsys):
    assert cli.main(["reproduce", "--profile", "smoky"]) == 2
    assert cli.main(["reproduce", "--profile", "laptop", "--data", "/nowhere"]) == 2
    for words in (["reproduce", "--only", "pneumonia"], ["task", "smoke", "pneumonia"]):
        capsys.readouterr()
        assert cli.main(words) == 2 and "did you mean 'pneumonia_xray'" in capsys.readouterr().err
    with pytest.raises(SystemExit) as e: cli.main([])
    assert e.value.code == 2
