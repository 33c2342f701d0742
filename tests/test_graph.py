"The graph, run for real in a copy of the project with three small notebooks."
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
import yaml

TOP = Path(__file__).resolve().parents[1]
WRITE = """from covid_mtnet.core import write_json
for f in ('metrics.json', 'provenance.json'):
    write_json(f'{out_dir}/{f}', dict(task=profile, profile=profile, rows=[], claims={}, phantom=True))"""
SOURCES = {"good": ["import covid_mtnet.core", WRITE],
           "bad": ["import pathlib, covid_mtnet.core",
                   "if not pathlib.Path('mended').exists(): raise ValueError('no such luck')", WRITE],
           "after": ["import covid_mtnet.phantoms, pathlib",
                     "assert (pathlib.Path(good_run) / 'metrics.json').exists()", WRITE]}
SLOW = ["import time, pathlib", "print('half way', flush=True)\nif not pathlib.Path('killed').exists(): time.sleep(90)",
        WRITE]


def project(folder, sources, needs):
    "A copy of the project whose profile `tiny` runs some notebooks."
    for name in ("covid_mtnet", "config", "data_manifests"):
        shutil.copytree(TOP / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("settings.ini", "Snakefile", "requirements.lock"): shutil.copy(TOP / name, folder)
    tasks = {}
    for name, cells in sources.items():
        parameters = "\n".join(f"{p} = ''" for p in ("out_dir", "profile", *needs.get(name, {})))
        nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in [parameters, *cells]])
        nb.cells[0].metadata["tags"] = ["parameters"]
        nbformat.write(nb, folder / f"{name}.ipynb")
        tasks[name] = dict(notebook=f"{name}.ipynb", needs=needs.get(name, {}),
                           data=[], outputs=["metrics.json", "provenance.json"], minutes=1, expect=None, parameters={})
    (folder / "config" / "tiny.yaml").write_text(yaml.safe_dump(dict(tasks=tasks)))
    return folder


def environment(folder):
    return dict(os.environ, PYTHONPATH=str(folder), COVID_MTNET_CACHE=str(folder / "cache"), PYTHONUNBUFFERED="1")


def reproduce(folder, *more):
    r = subprocess.run([sys.executable, "-m", "covid_mtnet.cli", "reproduce", "--profile", "tiny", *more],
                       cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=240)
    return r.returncode, r.stdout + r.stderr


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return project(tmp_path_factory.mktemp("tiny") / "p", SOURCES, {"after": {"good_run": "good"}})


def test_a_failed_notebook_is_named_and_kept_and_the_rest_goes_on(tiny):
    code, said = reproduce(tiny)
    assert code == 1
    assert "3 of 3 tasks to run" in said and "bad: FAILED in cell" in said
    assert "ValueError: no such luck" in said and "if not pathlib" in said
    runs = tiny / "runs" / "tiny"
    assert (runs / "good" / "metrics.json").exists() and (runs / "after" / "metrics.json").exists()
    assert not (runs / "bad" / "metrics.json").exists()
    kept = nbformat.read(runs / "bad" / "notebook.ipynb", 4)
    assert any("no such luck" in str(c.get("outputs")) for c in kept.cells)
    assert (runs / "report.html").exists() and "report:" in said


def test_a_second_call_runs_only_what_is_unfinished(tiny):
    (tiny / "mended").touch()
    code, said = reproduce(tiny)
    assert code == 0, said
    assert "1 of 3 tasks to run" in said and "bad: done" in said and "good: started" not in said
    code, said = reproduce(tiny)
    assert code == 0 and "nothing has changed" in said


def test_an_edited_module_reruns_exactly_its_dependants(tiny):
    with open(tiny / "covid_mtnet" / "phantoms.py", "a") as f: f.write("\n# a remark\n")
    assert "0 of 3 tasks to run" in reproduce(tiny, "--dry-run")[1]
    with open(tiny / "covid_mtnet" / "phantoms.py", "a") as f: f.write("\nedited = True\n")
    assert "1 of 3 tasks to run, about 1 min on 2 cores: after" in reproduce(tiny, "--dry-run")[1]
    for f in (tiny / "covid_mtnet").glob("*.py"): f.touch()
    code, said = reproduce(tiny)
    assert code == 0 and "after: done" in said and "good: started" not in said and "bad: started" not in said
    with open(tiny / "covid_mtnet" / "core.py", "a") as f: f.write("\nedited = True\n")
    assert "3 of 3 tasks to run" in reproduce(tiny, "--dry-run")[1]


def test_runs_may_be_called_like_a_number(tiny):
    assert reproduce(tiny, "--only", "good", "--runs", "2026.10 #2")[0] == 0
    assert (tiny / "2026.10 #2" / "tiny" / "good" / "metrics.json").exists()
    code, text = reproduce(tiny, "--only", "good", "--runs", "{1}")
    assert code == 1 and "--runs: expected a folder without { and }" in text


def test_only_runs_what_is_asked_for_and_needed(tiny):
    said = reproduce(tiny, "--dry-run", "--only", "after")[1]
    assert "good" in said and "after" in said and "bad" not in said


def test_a_profile_of_ones_own_ends_with_its_report(tiny, tmp_path):
    text = yaml.safe_load((tiny / "config" / "tiny.yaml").read_text())
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(dict(tasks={"good": text["tasks"]["good"]})))
    code, said = reproduce(tiny, "--profile", str(tmp_path / "mine.yaml"))
    assert code == 0 and "report: runs/mine/report.html" in said and (tiny / "runs/mine/report.html").is_file()


@pytest.mark.parametrize("text, said", [("", "a mapping with tasks"), ("tasks: {a: 3}", "task a"),
                                        ("tasks: {a: {needs: }}", "a mapping for needs")])
def test_a_broken_profile_is_said(text, said, tmp_path):
    from covid_mtnet import graph
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(graph.InputError, match=said): graph.load_profile(str(tmp_path / "mine.yaml"))


@pytest.mark.parametrize("field, value, said",
                         [("minutes", "five", "a number of minutes"), ("seeds", 0, "a whole number of seeds"),
                          ("data", None, "a list for data"), ("outputs", "metrics.json", "a list for outputs"),
                          ("expect", 3, "row, value and tolerance"),
                          ("expect", {"row": "a"}, "row, value and tolerance")])
def test_a_wrong_field_is_said_before_anything_runs(field, value, said, tmp_path):
    from covid_mtnet import graph
    task = dict(notebook="a.ipynb", needs={}, data=[], outputs=[], minutes=1, expect=None, parameters={})
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(dict(tasks=dict(a=task | {field: value}))))
    with pytest.raises(graph.InputError, match=said): graph.load_profile(str(tmp_path / "mine.yaml"))


def test_what_a_notebook_reads_is_in_its_stamp(tmp_path):
    from covid_mtnet import graph
    files = lambda name: set(graph.stamp(graph.load_profile("paper")["tasks"][name])["files"])
    assert "data_manifests/protocols/covid_xray_grouped.csv" in files("covid_xray")
    assert "config/printed.csv" in files("audit") and "weights/registry.csv" in files("covid_ct_share")
    assert not files("lung_seg_ct")
    a, b = (dict(graph.load_profile("paper")["tasks"]["infection_ct"], needs=dict(lung_run=n))
            for n in ("lung_seg_ct", "other"))
    assert graph.stamp(a) != graph.stamp(b)


@pytest.mark.parametrize("value, fits", [(1.25, True), (.75, True), (1.5, False), (.5, False)])
def test_a_number_at_the_edge_of_its_tolerance_is_as_expected(value, fits, tmp_path):
    from covid_mtnet import graph
    (tmp_path / "metrics.json").write_text(f'{{"rows": [{{"id": "a", "value": {value}}}]}}')
    assert ("NOT AS EXPECTED" not in graph._as_expected(tmp_path, dict(row="a", value=1, tolerance=.25))) == fits


def test_other_parameters_or_other_images_make_another_stamp(tmp_path):
    from covid_mtnet import graph, phantoms
    task = dict(notebook=str(TOP / "nbs" / "paper" / "15_covid_xray.ipynb"),
                parameters=dict(epochs=3), needs={}, data=["covid_xray"])
    seen = [graph.stamp(task), graph.stamp(dict(task, parameters=dict(epochs=4)))]
    for k in range(2):
        phantoms.write_root(tmp_path, n=12, size=32, seed=k, sets=task["data"])
        seen.append(graph.stamp(task, tmp_path))
    assert graph.stamp(task) == seen[0] and not [(a, b) for i, a in enumerate(seen) for b in seen[:i] if a == b]


def test_a_folder_is_held_by_one_run_at_a_time(tmp_path):
    from covid_mtnet import graph
    with graph.only_one(tmp_path):
        with pytest.raises(graph.InputError, match="still going on"), graph.only_one(tmp_path): pass
        with graph.only_one(tmp_path / "another"): pass
    with graph.only_one(tmp_path): pass


def test_a_task_is_run_by_one_at_a_time(tmp_path, capsys):
    from covid_mtnet import graph
    with graph.only_one(tmp_path / "paper" / "audit"): assert not graph.run_task("paper", "audit", str(tmp_path))
    assert "still going on" in capsys.readouterr().out


def test_a_number_that_was_expected_and_is_not_there_costs_no_run(tmp_path):
    from covid_mtnet import graph
    (tmp_path / "metrics.json").write_text('{"rows": [{"id": "a", "value": null}]}')
    for row in ("a", "b"): assert "NOT AS EXPECTED" in graph._as_expected(tmp_path, dict(row=row, value=1, tolerance=1))


def test_kill_minus_nine_of_everything_and_the_same_command_recovers(tmp_path):
    p = project(tmp_path / "p", {"slow": SLOW}, {})
    run = subprocess.Popen([sys.executable, "-m", "covid_mtnet.cli", "reproduce", "--profile", "tiny"],
                           cwd=p, env=environment(p), stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert any("half way" in line for line in run.stdout)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    (p / "killed").touch()
    assert not (p / "runs" / "tiny" / "slow" / "metrics.json").exists()
    for _ in range(50):
        code, said = reproduce(p)
        if "still going on" not in said: break
        time.sleep(.2)
    assert code == 0 and "slow: done" in said, said


def test_an_edited_notebook_and_the_bytes_it_reads_are_in_the_stamp(tmp_path):
    from covid_mtnet import graph
    from covid_mtnet.core import read_json, resource, sha256, write_json
    notebook, made = resource("nbs", "paper", "15_covid_xray.ipynb"), []
    content = read_json(notebook)
    for source in ("1 + 1", "1 + 2"):
        next(c for c in reversed(content["cells"]) if c["cell_type"] == "code")["source"] = [source]
        write_json(tmp_path / notebook.name, content)
        made.append(graph.stamp(dict(notebook=str(tmp_path / notebook.name), parameters={}, needs={}, data=[])))
    name = "data_manifests/protocols/covid_xray_grouped.csv"
    assert made[0] != made[1] and made[0]["files"][name] == sha256(resource(*name.split("/")))


def test_the_smoke_graph_gave_what_was_expected():
    from covid_mtnet import graph
    tasks = {n: t["expect"] for n, t in graph.load_profile("smoke")["tasks"].items() if t["expect"]}
    done = [n for n in tasks if (TOP / "runs" / "smoke" / n / "metrics.json").exists()]
    if not done: pytest.skip("needs the smoke graph: make reproduce")
    for n in done: assert "NOT AS" not in (said := graph._as_expected(TOP / "runs" / "smoke" / n, tasks[n])), said
