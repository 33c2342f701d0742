"The report shows everything, and verify notices everything."
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from covid_mtnet import evaluation, report
from covid_mtnet.claims import claims
from covid_mtnet.core import read_json, resource, sha256, write_json
from covid_mtnet.manifests import load

NETWORK = dict(size=32, channels=1, width=0.0625)


@pytest.fixture(scope="module")
def account(tmp_path_factory):
    "A results folder with the true images, patients and labels, and made-up probabilities."
    files = load("pneumonia_xray").files
    known = files[files["split"].isin(["val", "test"])]
    rng = np.random.default_rng(0)
    label = (known["label"] == "PNEUMONIA").astype(int)
    probability = np.clip(.4 * label + rng.uniform(0, .6, len(known)), 0, 1)
    frame = known[["path", "group", "split"]].assign(label=label, probability=probability)
    frame = evaluation.pd.concat([frame, frame[frame["split"] == "val"].assign(split="val_shifted")])
    folder = tmp_path_factory.mktemp("results") / "laptop" / "pneumonia_xray"
    stored = evaluation.write_predictions(folder / "predictions.csv", frame)
    from covid_mtnet.irrcnn import irrcnn
    rows = evaluation.classification_rows(stored) + evaluation.fact_rows(files, irrcnn(**NETWORK).count_params())
    stated = {"P1": "test.accuracy@val", "P3": "test.auc", "M1": "parameters"}
    write_json(folder / "metrics.json",
               dict(task="pneumonia_xray", profile="laptop", rows=rows, claims=stated, kind="classification",
                    set="pneumonia_xray", positive="PNEUMONIA", network=NETWORK, phantom=False))
    outputs = {n: sha256(folder / n) for n in ("predictions.csv", "metrics.json")}
    write_json(folder / "provenance.json",
               dict(outputs=outputs, manifests={"pneumonia_xray": "x"}, backend="tensorflow",
                    device="cpu", precision="float32", seed=0, wall_seconds=60, peak_memory_mib=1))
    return folder.parents[1]


@pytest.fixture
def copy(account, tmp_path): return Path(shutil.copytree(account, tmp_path / "results"))


def restamp(task_dir):
    "Make the hashes fit again, as a careful forger would."
    p = read_json(task_dir / "provenance.json")
    p["outputs"] = {n: sha256(task_dir / n) if (task_dir / n).exists() else h
                    for n, h in p["outputs"].items()} # weights are not committed
    write_json(task_dir / "provenance.json", p)


def test_an_honest_account_holds(account, capsys):
    assert report.verify_main(account) == 0
    assert "every one holds" in capsys.readouterr().out


def test_a_removed_metric_is_named(copy):
    task = copy / "laptop" / "pneumonia_xray"
    m = read_json(task / "metrics.json")
    m["rows"] = [r for r in m["rows"] if r["id"] != "test.auc"]
    write_json(task / "metrics.json", m); restamp(task)
    problems, _ = report.verify(copy)
    assert any("test.auc: missing from metrics.json" in p for p in problems) and any("claim P3" in p for p in problems)


def test_a_changed_number_is_named(copy):
    task = copy / "laptop" / "pneumonia_xray"
    m = read_json(task / "metrics.json")
    next(r for r in m["rows"] if r["id"] == "test.accuracy@val")["value"] += .01
    write_json(task / "metrics.json", m); restamp(task)
    problems, _ = report.verify(copy)
    assert len(problems) == 1 and "test.accuracy@val: value is" in problems[0]


def test_a_changed_prediction_is_noticed_with_and_without_its_hash(copy):
    task = copy / "laptop" / "pneumonia_xray"
    lines = (task / "predictions.csv").read_text().splitlines()
    path, group, split, label, p = lines[-160].split(",")
    lines[-160] = ",".join((path, group, split, label, f"{1 - float(p):.6f}"))
    (task / "predictions.csv").write_text("\n".join(lines) + "\n")
    problems, _ = report.verify(copy)
    assert any("predictions.csv: expected sha256" in p for p in problems)
    restamp(task)
    assert any("recomputed" in p for p in report.verify(copy)[0])


@pytest.mark.parametrize("name", ["pneumonia_xray", "covid_xray", "pneumonia_shift", "chest_seg_xray", "infection_ct"])
def test_images_that_are_left_out_are_missed(name, tmp_path):
    task = Path(shutil.copytree(resource("results", "laptop", name), tmp_path / "laptop" / name))
    frame = pd.read_csv(task / "predictions.csv", dtype=str)
    frame[frame["path"] != frame["path"].iloc[5]].to_csv(task / "predictions.csv", index=False); restamp(task)
    problems = report.verify(tmp_path)[0]
    assert any("1 missing, such as" in p and frame["path"].iloc[5] in p for p in problems)


@pytest.mark.parametrize("name", ["pneumonia_xray", "covid_xray"])
@pytest.mark.parametrize("column", ["label", "group", "split"])
def test_a_changed_label_group_or_split_is_held_against_the_manifest(column, name, tmp_path):
    task = Path(shutil.copytree(resource("results", "laptop", name), tmp_path / "laptop" / name))
    frame = pd.read_csv(task / "predictions.csv", dtype=str)
    frame.loc[5, column] = {"label": {"0": "1", "1": "0"}, "group": {},
                            "split": {"val": "test", "test": "val"}}[column].get(frame.loc[5, column], "nobody")
    frame.to_csv(task / "predictions.csv", index=False); restamp(task)
    assert any("predictions.csv, " in p and f"{frame.loc[5, 'path']}: expected" in p and column in p
               for p in report.verify(tmp_path)[0])


def test_phantoms_are_neither_verified_nor_kept_as_results(copy, tmp_path):
    task = copy / "laptop" / "pneumonia_xray"
    (task / "parameters.yaml").write_text("{}")
    write_json(task / "metrics.json", dict(read_json(task / "metrics.json"), phantom=True)); restamp(task)
    assert any("a phantom run, which is not evidence" in p for p in report.verify(copy)[0])
    with pytest.raises(report.InputError, match="phantoms, which are no results"):
        report.keep("laptop", copy, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_a_broken_account_is_a_problem_not_a_crash(copy):
    (copy / "laptop" / "pneumonia_xray" / "metrics.json").write_text("{")
    (copy / "laptop" / "other").mkdir()
    problems, _ = report.verify(copy)
    assert any("metrics.json: expected valid JSON" in p for p in problems) and any("other" in p for p in problems)


def test_recounting_follows_a_new_way_of_counting_and_no_changed_prediction(copy, capsys):
    task = copy / "laptop" / "pneumonia_xray"
    honest = read_json(task / "metrics.json")
    write_json(task / "metrics.json", dict(honest, rows=[dict(r, method="another way") for r in honest["rows"]]))
    restamp(task)
    assert report.verify_main(copy) == 1 and report.verify_main(copy, again=True) == 0
    assert read_json(task / "metrics.json") == honest
    text = (task / "predictions.csv").read_text()
    (task / "predictions.csv").write_text(text.replace(",0.", ",1.", 1))
    with pytest.raises(report.InputError, match="predictions.csv: expected sha256"): report.recount(task)
    assert read_json(task / "metrics.json") == honest


def test_an_account_of_a_network_that_was_replaced_is_named(copy):
    task, other = copy / "laptop" / "pneumonia_xray", copy / "laptop" / "chest_seg_xray"
    other.mkdir()
    for told, said in (("a" * 64, False), ("b" * 64, True)):
        write_json(other / "provenance.json", dict(outputs={"nabla3/model.weights.h5": "a" * 64}))
        made = read_json(task / "provenance.json")
        write_json(task / "provenance.json",
                   dict(made, networks={"chest_seg_xray/nabla3/model.weights.h5": told,
                                        "lung_seg_ct/nabla3/model.weights.h5": told}))
        assert any("pneumonia_xray: made with another chest_seg_xray" in p for p in report.verify(copy)[0]) == said


@pytest.mark.parametrize("left", [0, 40])
def test_a_truncated_archive_is_a_problem_of_its_own_task(left, copy):
    task = Path(shutil.copytree(resource("results", "compact", "infection_abdominal_ct"),
                                copy / "compact" / "infection_abdominal_ct"))
    (task / "masks.npz").write_bytes((task / "masks.npz").read_bytes()[:left]); restamp(task)
    problems, count = report.verify(copy)
    assert count and any("infection_abdominal_ct" in p for p in problems)
    assert not any("pneumonia_xray" in p for p in problems)


def test_the_committed_results_hold(capsys):
    if report._results() is None: pytest.skip("no results are committed yet")
    assert report.verify_main() == 0, capsys.readouterr().out


def test_everything_is_listed_before_anything_has_run(tmp_path):
    page, text = report.report("smoke", tmp_path)
    html, md = page.read_text(), text.read_text()
    for c in claims()["id"]: assert f'<th scope="row">{c}</th>' in html and f"| {c} |" in md
    for n in range(1, 16): assert f'id="fig{n}"' in html and f"### Figure {n}." in md
    assert html.count('class="missing">not run') == 15 and md.count("\nnot run\n") == 15
    body = html.split("</style>")[1]
    assert "src=\"http" not in body and "<script" not in body and "<link" not in body


def test_a_run_is_shown_with_its_verdicts_and_phantoms_are_marked(account, tmp_path, monkeypatch):
    from PIL import Image
    monkeypatch.setattr(report, "_results", lambda: None)  # no committed account in the place of what was not run
    for profile, phantom in (("laptop", False), ("smoke", True)):
        task = tmp_path / profile / "pneumonia_xray"
        shutil.copytree(account / "laptop" / "pneumonia_xray", task)
        write_json(task / "metrics.json", dict(read_json(task / "metrics.json"), phantom=phantom, profile=profile))
        (task / "figures").mkdir(); Image.new("L", (4, 4)).save(task / "figures" / "fig10_roc.png")
        html, md = (p.read_text() for p in report.report(profile, tmp_path))
        assert html.count('class="missing">not run') == 14 and "data:image/png;base64," in html
        assert "(pneumonia_xray/figures/fig10_roc.png)" in md
        assert ("phantom images" in html) == phantom and (">phantom run<" in html) == phantom
        if phantom: assert 'class="v-reproduced"' not in html


def test_the_report_says_what_a_task_can_and_cannot_show():
    title, about = report._about("nbs/paper/15_covid_xray.ipynb")
    assert title == "COVID-19 detection in chest X-rays" and "It cannot show that it sees COVID-19" in about
    assert "profile =" not in about


def test_several_seeds_are_shown_with_their_spread_and_claim_nothing_twice(account, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "_results", lambda: None)
    for k, name in enumerate(("pneumonia_xray", "pneumonia_xray_seed1", "pneumonia_xray_seed2")):
        task = Path(shutil.copytree(account / "laptop" / "pneumonia_xray", tmp_path / "paper" / name))
        m = read_json(task / "metrics.json")
        next(r for r in m["rows"] if r["id"] == "test.auc")["value"] = .9 + .01 * k
        write_json(task / "metrics.json", dict(m, profile="paper"))
    html, md = (p.read_text() for p in report.report("paper", tmp_path))
    auc = next(l for l in md.splitlines() if l.startswith("| pneumonia_xray |") and "| 0.9100 | 0.0100 | 0.9000 (" in l)
    assert "AUC" in auc and auc.count("–") == 3 and 'id="seeds"' in html and 'id="pneumonia_xray_seed1"' not in html
    assert "| 0.9100 | 0.0100 | 0.9000 (" in report.seeds_table(("paper",), tmp_path)
    assert "0.90 (" in next(l for l in md.splitlines() if l.startswith("| P3 |"))
    assert list(report.finished("paper", tmp_path)) == ["pneumonia_xray"]
    assert len(report.finished("paper", tmp_path, further=True)) == 3


def test_a_further_seed_keeps_its_predictions_and_no_pictures(account, tmp_path):
    task, runs = "pneumonia_xray_seed1", tmp_path / "runs"
    src = Path(shutil.copytree(account / "laptop" / "pneumonia_xray", runs / "compact" / task))
    (src / "figures").mkdir()
    for name in ("figures/roc.png", "model.weights.h5", "parameters.yaml"): (src / name).write_text("{}")
    p = read_json(src / "provenance.json")
    write_json(src / "provenance.json",
               dict(p, outputs=dict(p["outputs"],
                                    **{n: sha256(src / n) for n in ("figures/roc.png", "model.weights.h5")})))
    assert report.keep("compact", runs, tmp_path / "results") == [tmp_path / "results" / "compact" / task]
    kept = tmp_path / "results" / "compact" / task
    assert sorted(p.name for p in kept.iterdir()) == ["metrics.json", "parameters.yaml",
                                                      "predictions.csv", "provenance.json"]
    assert report.verify(tmp_path / "results")[0] == []
    kept.rename(kept.with_name("pneumonia_xray"))
    assert "figures/roc.png" in report.verify(tmp_path / "results")[0][0]


BREAK = {"empty": "", "ragged": "a,b\n1,2\n1,2,3\n", "words": "path,group,split,label,probability\na,b,test,1,x\n"}
@pytest.mark.parametrize("text", BREAK.values(), ids=BREAK)
def test_broken_predictions_are_a_problem_not_a_crash(copy, text):
    task = copy / "laptop" / "pneumonia_xray"
    (task / "predictions.csv").write_text(text); restamp(task)
    problems, _ = report.verify(copy)
    assert problems and str(task) in problems[0]


def row(m, id): return next(r for r in m["rows"] if r["id"] == id)


def nudged(m): m["rows"][1] = dict(m["rows"][1], value=m["rows"][1]["value"] + 1e-5)


FORGE = {"a second row of the same name": (lambda m: m["rows"].insert(0, dict(row(m, "test.auc"), value=.999)),
                                           "test.auc: 2 rows"),
         "a flattering name": (lambda m: row(m, "val.auc").update(name="test ROC AUC"), "val.auc: name is"),
         "a narrower interval": (lambda m: row(m, "test.auc").update(low=.5), "test.auc: low is 0.5"),
         "a wider interval": (lambda m: row(m, "val.auc").update(high=1.), "val.auc: high is 1.0"),
         "a change in the fifth digit": (nudged, "test.auc: value is"),
         "a claim of no paper": (lambda m: m["claims"].update(Z9="test.auc"), "claim Z9"),
         "a word for a number": (lambda m: m["rows"][3].update(value="high"), "value is high"),
         "no rows": (lambda m: m.update(rows=None), "cannot be read")}
@pytest.mark.parametrize("change, said", FORGE.values(), ids=FORGE)
def test_forged_metrics_are_named(copy, change, said):
    task = copy / "laptop" / "pneumonia_xray"
    m = read_json(task / "metrics.json")
    change(m); write_json(task / "metrics.json", m); restamp(task)
    assert any(said in p for p in report.verify(copy)[0])


def test_unlisted_files_are_named(copy):
    task = copy / "laptop" / "pneumonia_xray"
    write_json(task / "provenance.json", dict(read_json(task / "provenance.json"), outputs={}))
    assert any("predictions.csv: expected its hash" in p for p in report.verify(copy)[0])


def test_what_an_account_says_is_text_and_no_html(account, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "_results", lambda: None)
    task = Path(shutil.copytree(account / "laptop" / "pneumonia_xray", tmp_path / "laptop" / "pneumonia_xray"))
    m = read_json(task / "metrics.json")
    write_json(task / "metrics.json",
               dict(m, rows=[dict(r, name=f"<script>{r['name']}", method="a < b & c") for r in m["rows"]]))
    html = report.report("laptop", tmp_path)[0].read_text()
    assert "<script" not in html and "&lt;script&gt;test ROC AUC" in html and "a &lt; b &amp; c" in html


def test_phantoms_do_not_borrow_the_licence_of_patients(account, tmp_path):
    task = tmp_path / "smoke" / "pneumonia_xray"
    shutil.copytree(account / "laptop" / "pneumonia_xray", task)
    write_json(task / "metrics.json", dict(read_json(task / "metrics.json"), phantom=True, profile="smoke"))
    html = report.report("smoke", tmp_path)[0].read_text()
    assert "phantoms in the place of pneumonia_xray" in html and "CC BY 4.0" not in html


def test_the_committed_account_stands_in_and_says_so(account, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "_results", lambda: account)
    html, md = (p.read_text() for p in report.report("laptop", tmp_path))
    plain = read_json(tmp_path / "laptop" / "report.json")
    assert len(plain["claims"]) == 26 and len(plain["figures"]) == 15
    assert next(c for c in plain["claims"] if c["id"] == "P1")["verdict"] in ("reproduced", "not reproduced")
    assert "committed account in results/laptop" in html and "committed account in results/laptop" in md
    assert all(next(c for c in plain["claims"] if c["id"] == i)["ours"].endswith("committed account")
               for i in ("P1", "M1"))


def validated(lines):
    "A row more, about an image of the validation."
    stored = resource("results", "laptop", "covid_xray", "predictions.csv").read_text().splitlines()
    path, _, group, _, _, protocol, model, _ = next(l for l in stored if ",val," in l).split(",")
    return [*lines, f"{path},{group},{protocol},{model},1.000000,0.100000"]


LOOK = {"a share changed": (lambda lines: [*lines[:-1], lines[-1].rsplit(",", 2)[0] + ",1.000000,0.100000"],
                            "evidence.inside: value is"),
        "an image of no test": (lambda lines: [*lines, lines[-1].replace(lines[-1].split(",")[0], "nobody.png")],
                                "expected test images of predictions.csv"),
        "an image of the validation": (validated, "expected test images of predictions.csv"),
        "nothing left": (lambda lines: None, "where the classifier looked")}
@pytest.mark.parametrize("change, said", LOOK.values(), ids=LOOK)
def test_where_a_classifier_looked_is_recomputed(change, said, tmp_path):
    task = Path(shutil.copytree(resource("results") / "laptop" / "covid_xray", tmp_path / "laptop" / "covid_xray"))
    assert report.verify(tmp_path)[0] == []
    file = task / "evidence.csv"
    lines = change(file.read_text().splitlines())
    file.unlink()
    if lines: file.write_text("\n".join(lines) + "\n"); restamp(task)
    assert any(said in p for p in report.verify(tmp_path)[0])
