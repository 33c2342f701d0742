"Published weights over a real HTTP server, and from the command line."
import functools
import http.server
import threading

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml

from covid_mtnet import cli, weights
from covid_mtnet.core import InputError, resource, sha256, write_json, write_text


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    "A finished run of a small network."
    from covid_mtnet.nabla import nabla3
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    task = folder / "chest_seg_xray"
    (task / "nabla3").mkdir(parents=True)
    nabla3(32, width=.125).save_weights(task / "nabla3" / "model.weights.h5")
    write_json(task / "metrics.json", dict(task="chest_seg_xray", phantom=True,
                                           rows=[dict(id="test.dice", name="Dice", value=.9, low=.8, high=.95, n=12)]))
    write_json(task / "provenance.json", dict(manifests={"chest_seg_xray": ""}, precision="float32", commit="0" * 40))
    write_text(task / "parameters.yaml", "size: 32\nwidth: 0.125\n")
    return folder


@pytest.fixture()
def served(tmp_path):
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield tmp_path, f"http://127.0.0.1:{server.server_port}"
    server.shutdown(); server.server_close()


def test_built_published_and_fetched(runs, served, monkeypatch, capsys):
    folder, address = served
    monkeypatch.setenv("COVID_MTNET_CACHE", str(folder / "cache"))
    assert cli.main(["weights", "build", str(runs), "--out", str(folder), "--address", f"{address}/tiny"]) == 0
    known = pd.read_csv(folder / "registry.csv", keep_default_na=False)
    assert (folder / "tiny" / "chest_seg_xray" / "card.md").read_text().count("not a diagnosis") == 1
    assert set(known["licence"]) == {"CC0-1.0 (phantoms)"}
    here = weights.fetch("tiny", known=known)
    assert here == folder / "cache" / "weights" / "tiny" and weights.status(known)["here"].tolist() == ["yes"]
    from covid_mtnet.nabla import nabla3
    nabla3(32, width=.125).load_weights(here / "chest_seg_xray" / "nabla3" / "model.weights.h5")
    assert weights.fetch("tiny", known=known.assign(address="")) == here  # whole already
    monkeypatch.setenv("COLUMNS", "80"); capsys.readouterr()
    assert cli.main(["weights", "status"]) == 0 and max(map(len, capsys.readouterr().out.splitlines())) <= 80
    assert cli.main(["weights", "fetch", "nothing"]) == 1
    assert "published set" in capsys.readouterr().err


def test_another_file_at_the_address_is_refused_and_leaves_nothing(runs, served, monkeypatch):
    folder, address = served
    monkeypatch.setenv("COVID_MTNET_CACHE", str(folder / "cache"))
    known = weights.build(runs, folder / "tiny").assign(address=lambda k: f"{address}/tiny/" + k["path"])
    (folder / "tiny" / "chest_seg_xray" / "nabla3" / "model.weights.h5").write_bytes(b"something else")
    with pytest.raises(InputError, match="model.weights.h5"): weights.fetch("tiny", known=known)
    assert not list((folder / "cache" / "weights").rglob("model.weights.h5"))
    assert weights.status(known)["here"].iloc[0] != "yes"


def test_a_file_of_the_right_size_with_other_bytes_is_not_whole_and_is_fetched_again(tmp_path, monkeypatch):
    monkeypatch.setenv("COVID_MTNET_CACHE", str(tmp_path / "cache"))
    (tmp_path / "tiny" / "t").mkdir(parents=True); (tmp_path / "tiny" / "t" / "card.md").write_bytes(b"right")
    known = pd.DataFrame([("tiny", "t/card.md", 5, sha256(b"right"), "CC0-1.0", "")], columns=weights.REGISTRY)
    file = weights.fetch("tiny", str(tmp_path / "tiny"), known) / "t" / "card.md"
    assert weights.status(known)["here"].tolist() == ["yes"]
    file.write_bytes(b"wrong")
    assert weights.status(known)["here"].tolist() == ["no"]
    with pytest.raises(InputError, match="an address"): weights.fetch("tiny", known=known)
    assert weights.fetch("tiny", str(tmp_path / "tiny"), known) and file.read_bytes() == b"right"


@pytest.mark.parametrize("task, there, passed_on", [
    ("covid_xray", "published_scratch grouped_scratch_seed1 grouped_scratch grouped_transfer_seed1 grouped_transfer",
     "grouped_transfer grouped_transfer_seed1"),
    ("covid_xray", "published_scratch published_transfer", "published_transfer"), ("covid_ct", "replica own", "own"),
    ("infection_ct", "fold2 fold1 fold0", "fold0 fold1"), ("chest_seg_xray", "unet", "")])
def test_of_several_networks_the_first_choice_is_passed_on_with_its_seeds(task, there, passed_on, tmp_path):
    for n in there.split():
        (tmp_path / task / n).mkdir(parents=True); (tmp_path / task / n / "model.weights.h5").touch()
    assert [p.parent.as_posix() for p in weights.weight_files(tmp_path / task)] == passed_on.split()


def test_networks_that_other_parameters_left_are_neither_used_nor_passed_on(tmp_path):
    from covid_mtnet.runs import Run
    task = tmp_path / "covid_ct"
    for n in ("own", "own_seed1", "own_transfer"):
        (task / n).mkdir(parents=True); (task / n / "model.weights.h5").write_text(n)
    run = Run(task, "covid_ct", "tiny", 0)
    run.trains("own")
    run.finish()
    assert [p.as_posix() for p in weights.weight_files(task)] == ["own/model.weights.h5"]
    assert len(list(task.glob("own*/*.h5"))) == 3


@pytest.mark.parametrize("task", sorted(p.parent.name for p in resource("weights", "compact").glob("*/card.md")))
def test_a_card_in_the_project_tells_the_numbers_of_its_network(task):
    folder = resource("weights", "compact", task)
    said = (folder / "card.md").read_text()
    rows = [l for l in said.splitlines() if l.startswith("| ") and "–" in l]
    assert said == weights.card(folder) and rows and not [l for l in rows if l.startswith(("| adaptive", "| density"))]
    assert not [v for v in yaml.safe_load((folder / "parameters.yaml").read_text()).values()
                if isinstance(v, str) and v.startswith("/")]


def test_vectors_keep_32_bits_and_only_float32_is_halved(tmp_path):
    a, b = tmp_path / "a.weights.h5", tmp_path / "b.weights.h5"
    with h5py.File(a, "w") as f:
        f["v/0"], f["v/1"] = np.full((3, 3), 1 / 3, "float32"), np.float32([1e-9, 7e4])
        f["v/2"], f.attrs["x"] = np.uint32([[2 ** 31]]), "kept"
    weights.half(a, b)
    with h5py.File(b) as f:
        assert [str(f[f"v/{k}"].dtype) for k in range(3)] == ["float16", "float32", "uint32"]
        assert (f["v/1"][:] == np.float32([1e-9, 7e4])).all() and f.attrs["x"] == "kept"
