"Pictures go in as a user has them, as files; answers come out, or the reason why not."
import json
import re
import shutil
import subprocess
import sys
import types

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image as PILImage

from covid_mtnet import cases, cli, phantoms, prediction
from covid_mtnet.core import InputError, sha256, write_json
from covid_mtnet.framing import ROOM, framed_all, rectangle
from covid_mtnet.images import Image, read_image, to_uint8
from covid_mtnet.quantification import Quantity, total

SIZE = 64


def written(folder, task, phantom=True, rows=(), **given):
    write_json(folder / task / "metrics.json", dict(task=task, phantom=phantom, rows=list(rows)))
    parameters = dict(size=SIZE, width=.0625, precision="float32", seed=0, **given)
    lines = [f"{k}: {json.dumps(v)}\n" for k, v in parameters.items()]
    (folder / task / "parameters.yaml").write_text("".join(lines))


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    "Run-like: small networks of lungs and infection, briefly trained on phantoms; classifiers that learned nothing."
    from covid_mtnet import irrcnn, segmentation, training
    folder = tmp_path_factory.mktemp("weights") / "tiny"
    training.set_seed(0, deterministic=False); training.precision("float32")
    learner = segmentation.learner(segmentation.build("nabla3", SIZE, 1, .0625), average=.8)
    pictures = [(phantoms.xray, phantoms.ct)[s % 2](s, ("normal", "covid")[s // 2 % 2], size=SIZE) for s in range(64)]
    x = np.stack([to_uint8(p.image) for p in pictures])[..., None]
    for tasks, where, part, epochs in ((("chest_seg_xray", "lung_seg_ct"), "nabla3", "lungs", 7),
                                       (("infection_xray", "infection_ct"), "fold0", "infection", 3)):
        y = np.stack([getattr(p, part) for p in pictures])[..., None].astype(np.uint8)
        segmentation.train(learner, x, y, lambda m: {}, folder / tasks[0] / where,
                           epochs, 8, rate=.006, schedule="cosine", log=lambda *_: None)
        learner.restart()
        shutil.copytree(folder / tasks[0], folder / tasks[1])
        known = [dict(id=i, value=3.2, low=1.1, high=5.3, n=30) for i in ("network.completed.error", "healthy.percent")]
        for t in tasks:
            written(folder, t, rows=[dict(id=f"network.{l}.threshold", value=.5, n=5) for l in ("found", "completed")]
                    + known * (t == "infection_xray"), spread={"network": 1.5, "adaptive": .25, "density": .05})
    for task, where, name in (("pneumonia_xray", "", ""), ("covid_xray", "grouped_transfer", "grouped.transfer."),
                              ("covid_ct", "own", "own.irrcnn.")):
        (folder / task / where).mkdir(parents=True)
        irrcnn.irrcnn(SIZE, 1, width=.0625).save_weights(folder / task / where / "model.weights.h5")
        aucs = [dict(id=f"{name}{split}.auc", value=v, low=v - .1, high=v + .1, n=40)
                for split, v in (("test", .9), ("external", .6)) if split == "test" or task == "covid_ct"]
        written(folder, task, rows=[dict(id=f"{name}threshold.val", value=.4)] + aucs,
                views=2, **({"frame": "lungs"} if task == "covid_ct" else {}))
    return folder


def film(seed, label="covid", pct=30): return phantoms.xray(seed, label, pct, size=160).image


def dicom(path, stored, modality="DX", photometric="MONOCHROME2", **tags):
    import pydicom
    from pydicom.uid import CTImageStorage, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid
    d = pydicom.Dataset()
    d.file_meta = pydicom.dataset.FileMetaDataset()
    d.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    d.SOPClassUID = CTImageStorage if modality == "CT" else DigitalXRayImageStorageForPresentation
    d.SOPInstanceUID, d.Modality = generate_uid(), modality
    d.set_pixel_data(stored, photometric, tags.pop("BitsStored", stored.itemsize * 8))
    for k, v in tags.items(): setattr(d, k, v)
    d.save_as(path, enforce_file_format=True)
    return path


def png(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    PILImage.fromarray(to_uint8(pixels)).save(path)
    return path


def volume(folder):
    "A phantom scan as a DICOM series and as NIfTI, with one slice that shows no lung."
    import nibabel as nib
    hu = np.stack([np.rint(-1000 + 1400 * phantoms.ct(7, "covid", p, size=128).image) for p in (10, 20, 30, 40)]
                  + [np.full((128, 128), 40.)]).astype(np.int16)
    (folder / "scan").mkdir(parents=True)
    for k in (2, 0, 3, 1, 4):
        dicom(folder / "scan" / f"IM{k}", hu[k], "CT", RescaleSlope=1, RescaleIntercept=0, PixelSpacing=[1.5, 1.5],
              ImageOrientationPatient=[1, 0, 0, 0, 1, 0], ImagePositionPatient=[-90, -80, 5. * k],
              SeriesInstanceUID="1.2.3", PatientID="p9")
    affine = np.array([[-1.5, 0, 0, 90], [0, -1.5, 0, 80], [0, 0, 5, 0], [0, 0, 0, 1.]])
    nib.save(nib.Nifti1Image(hu.transpose(2, 1, 0), affine), folder / "scan.nii.gz")
    return folder / "scan", folder / "scan.nii.gz"


def test_the_same_picture_in_every_form_gives_the_same_answer(runs, tmp_path):
    x = film(3)
    twelve = np.rint(4095 * x).astype(np.uint16)
    forms = [png(tmp_path / "8.png", x), png(tmp_path / "rgb.png", np.repeat(x[..., None], 3, -1)),
             dicom(tmp_path / "plain.dcm", twelve, BitsStored=12),
             dicom(tmp_path / "inverted.dcm", 4095 - twelve, "CR", "MONOCHROME1", BitsStored=12)]
    PILImage.fromarray(np.rint(65535 * x).astype(np.uint16)).save(tmp_path / "16.png")
    forms.append(tmp_path / "16.png")
    got = prediction.predict(forms, weights=runs, modality="xray")
    assert not got.failed and all(a["scored"] for a in got.answers), got.table.T.to_string()
    numbers = got.table[["percent", "low", "high", "p_pneumonia", "p_COVID-19"]].to_numpy(float)
    assert 0 < numbers[0, 0] < 100 and (np.abs(numbers - numbers[0]) <= .01 * np.abs(numbers[0]) + 1e-6).all(), numbers
    lungs = got.cases[0].lungs[0], phantoms.xray(3, "covid", 30, size=SIZE).lungs
    assert 2 * (lungs[0] & lungs[1]).sum() / (lungs[0].sum() + lungs[1].sum()) > .8
    by = ["the caller", "the caller", "the file", "the file", "the caller"]
    assert [a["modality_from"] for a in got.answers] == by


def test_an_answer_does_not_depend_on_what_else_is_there(runs, tmp_path):
    paths = [png(tmp_path / f"{k}.png", film(k)) for k in range(5)]
    alone, together = (prediction.predict(p, weights=runs, modality="xray").table.set_index("case")
                       for p in (paths[4], paths))
    for k in ("percent", "p_pneumonia", "p_COVID-19"):
        assert together.loc["4.png", k] == pytest.approx(alone.loc["4.png", k], rel=1e-3)


def test_a_scan_is_measured_slice_by_slice_in_millilitres(runs, tmp_path):
    import nibabel as nib
    series, nifti = volume(tmp_path)
    got = prediction.predict([series, nifti], tmp_path / "out", runs)
    assert not got.failed and [a["case"] for a in got.answers] == ["scan", "scan.nii.gz"]
    a, b = (x["infection"] for x in got.answers)
    assert a["lung_ml"] == pytest.approx(b["lung_ml"], rel=1e-3)
    assert a["infected_ml"] == pytest.approx(b["infected_ml"], rel=1e-3)
    assert (a["slices"], a["not_measurable"]) == (4, 1)
    true = sum(phantoms.ct(7, "covid", p, size=128).lungs.sum() for p in (10, 20, 30, 40)) * 1.5 ** 2 * 5 / 1000
    assert a["lung_ml"] == pytest.approx(true, rel=.15) and 0 < a["infected_ml"] < a["lung_ml"]
    assert [x["modality_from"] for x in got.answers] == ["the file"] * 2 and "COVID-19" in got.answers[0]["classes"]
    assert got.answers[0]["classes"]["COVID-19"]["auc"]["external"]["value"] == .6
    assert "ROC AUC in other hospitals 0.60 (0.50–0.70, n = 40)" in (tmp_path / "out" / "index.html").read_text()
    rows = pd.read_csv(tmp_path / "out" / "scan" / "slices.csv")
    assert len(rows) == 5 and rows["infected_ml"][:4].sum() == pytest.approx(a["infected_ml"])
    assert rows["not_measurable"].notna().tolist() == [False] * 4 + [True]
    here, mask = nib.load(nifti), nib.load(tmp_path / "out" / "scan.nii.gz" / "lungs.nii.gz")
    assert np.allclose(here.affine, mask.affine) and here.shape == mask.shape
    laid = nib.load(tmp_path / "out" / "scan" / "lungs.nii.gz")
    assert np.allclose(laid.affine, here.affine) and (laid.get_fdata() == mask.get_fdata()).mean() > .999
    assert mask.get_fdata().sum() * 1.5 ** 2 * 5 / 1000 == pytest.approx(b["lung_ml"], rel=.02)
    assert PILImage.open(tmp_path / "out" / "scan" / "slices.png").width > 300
    assert len(cases.saved_cases(tmp_path / "out")) == 2
    c = cases.saved_cases(tmp_path / "out")[0]
    assert cases.measured(c)[1]["percent"] == pytest.approx(a["percent"], abs=1e-4) and c.threshold == .5


def test_a_series_is_found_whatever_its_files_are_called(tmp_path):
    series, _ = volume(tmp_path / "plain")
    named = tmp_path / "named"; named.mkdir()
    for p in series.iterdir(): shutil.copy(p, named / f"CT.1.2.826.{p.name[2:]}")
    png(named / "film.png", film(0)); (named / "notes.1").write_text("not a picture")
    assert sorted(len(files) for _, files in prediction.sources(named)[0]) == [1, 5]


def test_signed_values_are_hounsfield_units_only_where_nobody_says_otherwise(tmp_path):
    hu, x = np.rint(-1000 + 1400 * phantoms.ct(7, "covid", 20, size=128).image).astype(np.int16), film(3)
    for name, values in (("ct.tif", hu), ("film.tif", np.rint(65535 * x - 32768).astype(np.int16)),
                         ("shifted.tif", np.rint(4095 * x - 2048).astype(np.int16))):
        tifffile.imwrite(tmp_path / name, values)
    def seen(name, asked):
        prediction._in_hu(image := read_image(tmp_path / name), asked)
        return image.info.get("unit"), image.pixels
    assert seen("ct.tif", None)[0] == seen("ct.tif", "ct")[0] == "HU"
    assert np.abs(seen("ct.tif", None)[1] - (hu + 1000) / 1400).max() < 1e-3
    assert seen("film.tif", None)[0] is None and seen("shifted.tif", "xray")[0] is None
    assert np.abs(seen("shifted.tif", "xray")[1] - (x - x.min()) / np.ptp(x)).max() < 1e-3


@pytest.fixture()
def folder(tmp_path):
    "Films of two patients among things that are none."
    x = np.rint(4095 * np.stack([film(k) for k in range(3)])).astype(np.uint16)
    for k, patient in enumerate(("p1", "p1", "p2")):
        dicom(tmp_path / f"film{k}.dcm", x[k], BitsStored=12, PatientID=patient)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n half")
    (tmp_path / "cut.dcm").write_bytes((tmp_path / "film0.dcm").read_bytes()[:3000])
    (tmp_path / "notes.txt").write_text("not a picture")
    dicom(tmp_path / "brain.dcm", x[0], "MR", BitsStored=12)
    y, z = np.mgrid[:200, :300] / 300
    png(tmp_path / "photo.png", np.stack([y, z, 1 - z], -1))
    dicom(tmp_path / "photo.dcm", np.rint(255 * np.stack([y, z, 1 - z], -1)).astype(np.uint8), "OT", photometric="RGB")
    png(tmp_path / "noise.png", np.random.default_rng(0).random((128, 128)))
    return tmp_path


def test_one_bad_file_stops_nothing_and_strange_ones_are_flagged(runs, folder, capsys):
    out = folder / "out"
    assert cli.main(["predict", str(folder), "--out", str(out), "--weights", str(runs), "--modality", "xray"]) == 1
    said = capsys.readouterr().out
    assert "3 scored, 4 flagged, 2 failed" in said and "not a diagnosis" in said and "broken.png" in said
    assert "cut.dcm" in said and "notes.txt" not in said
    table = pd.read_csv(out / "predictions.csv").set_index("path")
    table.index = [p.rsplit("/", 1)[1] for p in table.index]
    assert table["status"].to_dict() == {**{f"film{k}.dcm": "scored" for k in range(3)}, "brain.dcm": "flagged",
                                         "photo.png": "flagged", "photo.dcm": "flagged",
                                         "noise.png": "flagged", "broken.png": "failed", "cut.dcm": "failed"}
    assert "MR" in table["flags"]["brain.dcm"] and "colour" in table["flags"]["photo.png"]
    assert "colour" in table["flags"]["photo.dcm"] and "unlike" in table["flags"]["noise.png"]
    assert table.loc[["brain.dcm", "photo.png", "noise.png"], ["percent", "p_pneumonia"]].isna().all(axis=None)
    a = json.loads((out / "photo.png" / "case.json").read_text())
    assert a["banner"] == cases.BANNER and a["infection"] is None and not a["classes"]
    done = json.loads((out / "film0.dcm" / "case.json").read_text())
    assert done["phantom_weights"] and len(done["weights"]) == 4 and done["infection"]["threshold"] == .5
    assert set(done["classes"]["pneumonia"]["probabilities"]) == {"pneumonia", "normal"}
    files = {p.name for p in (out / "film0.dcm").iterdir()}
    assert files == {"case.json", "overlay.png", "gradcam.png", "lungs.png", "infected.png", "view.npz"}
    assert PILImage.open(out / "film0.dcm" / "lungs.png").size == (160, 160)
    page = (out / "index.html").read_text()
    assert page.count("<article") == 7 and "broken.png" in page and cases.BANNER in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert page.count("percentages of this kind were off by 3.2 points") == 3
    assert page.count("30 images without COVID-19 were given 3.2 %") == 3
    assert done["infection"]["lungs"] == "completed"
    assert page.count("ROC AUC on test images of its own set 0.90 (0.80–1.00, n = 40)") == 6
    assert "in other hospitals" not in page
    patients = pd.read_csv(out / "patients.csv").set_index("patient")
    assert patients["images"].to_dict() == {"p1": 2, "p2": 1}
    assert patients.loc["p1", "percent"] == pytest.approx(table.loc[["film0.dcm", "film1.dcm"], "percent"].mean())


def test_a_broken_batch_goes_on_where_it_was(runs, folder, monkeypatch):
    out, seen = folder / "out", []
    real = prediction._find
    monkeypatch.setattr(prediction, "_find",
                        lambda looks, *rest: seen.extend(l.name for l in looks) or real(looks, *rest))
    first = prediction.predict(folder, out, runs, "xray")
    assert sorted(seen) == [f"film{k}.dcm" for k in range(3)]
    seen.clear()
    again = prediction.predict(folder, out, runs, "xray")
    assert not seen and again.table.drop(columns="error").equals(first.table.drop(columns="error"))
    assert len(again.cases) == 3
    (out / "film0.dcm" / "case.json").unlink()
    (out / ".film1.dcm.abcd_123").mkdir(); (out / ".film1.dcm.abcd_123" / "case.json").write_text("{}")
    dicom(folder / "film1.dcm", np.rint(4095 * film(9)).astype(np.uint16), BitsStored=12, PatientID="p1")
    prediction.predict(folder, out, runs, "xray")
    assert sorted(seen) == ["film0.dcm", "film1.dcm"] and not list(out.glob(".film*"))
    seen.clear(); prediction.predict(folder, out, runs, "xray", method="density")
    assert len(seen) == 3


def test_cases_whose_names_begin_alike_leave_each_other_alone(tmp_path):
    (tmp_path / ".scan.png.abcd_123").mkdir(); (tmp_path / ".scan.abcd_123").mkdir()
    look = prediction._Look("scan", [], "")
    with pytest.raises(AttributeError): prediction._save(look, tmp_path)  # nothing was read
    assert [p.name for p in tmp_path.iterdir()] == [".scan.png.abcd_123"]


def test_pixels_are_let_go_when_they_are_written(runs, tmp_path, monkeypatch):
    seen, real = [], prediction._score
    monkeypatch.setattr(prediction, "_chunks", lambda looks, most=64: ([l] for l in looks))
    def score(part, *rest):
        seen.append([l.image is not None for l in held])
        held.extend(part)
        return real(part, *rest)
    monkeypatch.setattr(prediction, "_score", score)
    held = []
    got = prediction.predict([png(tmp_path / f"film{k}.png", film(k)) for k in range(3)],
                             tmp_path / "out", runs, "xray")
    assert len(got.cases) == 3 and seen == [[], [False], [False, False]] and held[2].image is None


def test_a_folder_that_cannot_be_written_is_said_before_anything_is_looked_at(runs, tmp_path, monkeypatch, capsys):
    (tmp_path / "out").write_text("a file")
    monkeypatch.setattr(prediction, "_find", lambda *_: 1 / 0)
    path = png(tmp_path / "film.png", film(1))
    with pytest.raises(InputError, match="out: expected a folder that can be written"):
        prediction.predict(path, tmp_path / "out", runs, "xray")
    assert cli.main(["predict", str(path), "--weights", str(runs), "--patient", "(", "--out", str(tmp_path / "o")]) == 2
    assert "patient: expected a regular expression" in capsys.readouterr().err


def test_a_moved_picture_is_of_the_patient_of_its_new_place(runs, tmp_path):
    for k in (1, 2):
        png(tmp_path / f"patient{k}" / "film.png", film(1))
        got = prediction.predict(tmp_path / f"patient{k}", tmp_path / "out",
                                 runs, "xray", patient=r"patient(\d)", method="adaptive")
        assert got.table["patient"].tolist() == [str(k)]


def test_what_was_there_before_is_left_alone(runs, tmp_path):
    path = png(tmp_path / "films" / "film.png", film(1))
    (tmp_path / "out" / "film.png").mkdir(parents=True)
    (tmp_path / "out" / "film.png" / "notes.txt").write_text("mine")
    got = prediction.predict(path, tmp_path / "out", runs, "xray")
    assert "left alone" in got.failed[0]["error"]
    assert (tmp_path / "out" / "film.png" / "notes.txt").read_text() == "mine"
    assert "left alone" in prediction.predict(path, tmp_path / "films", runs, "xray").failed[0]["error"]
    assert path.is_file()


def test_results_may_lie_around_or_beside_the_pictures_and_only_the_last_ones_are_shown(runs, tmp_path):
    first, other = png(tmp_path / "films" / "a.png", film(1)), png(tmp_path / "films" / "b.png", film(2))
    for _ in range(2): assert len(prediction.predict(tmp_path / "films", tmp_path, runs, "xray").answers) == 2
    assert [c.name for c in cases.saved_cases(tmp_path)] == ["a.png", "b.png"]
    first.write_bytes(first.read_bytes()[:99])
    got = prediction.predict(tmp_path / "films", tmp_path, runs, "xray")
    assert len(got.failed) == 1 and [c.name for c in cases.saved_cases(tmp_path)] == ["b.png"]
    assert not (tmp_path / "a.png").exists()
    prediction.predict(png(tmp_path / "c.png", film(3)), tmp_path / "beside", runs, "xray")
    prediction.predict(other, tmp_path / "beside", runs, "xray")
    assert [c.name for c in cases.saved_cases(tmp_path / "beside")] == ["b.png"]


def test_a_class_says_from_whom_it_was_learned(runs, tmp_path):
    got = prediction.predict(png(tmp_path / "a.png", film(1)), tmp_path / "out", runs, "xray")
    assert "children" in got.answers[0]["classes"]["pneumonia"]["learned_from"]
    assert "Learned from children" in (tmp_path / "out" / "index.html").read_text()


def test_a_long_name_in_any_script_is_a_name(tmp_path):
    folder = tmp_path / ("肺" * 60) / ("胸" * 60)
    folder.mkdir(parents=True)
    ((name, _),), failed = prediction.sources(png(folder / "像.png", film(1)).parents[1], tmp_path / "out")
    assert len(name.encode()) <= 100 and name.endswith("像.png") and not failed


def test_ten_bits_in_sixteen_are_contrast_enough(runs, tmp_path):
    for name, pixels in (("film.png", film(1)), ("flat.png", np.full((160, 160), .5))):
        PILImage.fromarray(np.rint(1023 * pixels).astype(np.uint16)).save(tmp_path / name)
    answers = prediction.predict([tmp_path / "film.png", tmp_path / "flat.png"], weights=runs, modality="xray").answers
    assert ["no contrast" in a["flags"] for a in answers] == [False, True]


def test_whoever_has_looked_can_have_the_numbers_anyway(runs, tmp_path):
    path = png(tmp_path / "p7_noise.png", np.random.default_rng(0).random((128, 128)))
    got = prediction.predict(path, weights=runs, modality="xray", patient=r"(p\d)_", anyway=True)
    assert got.answers[0]["scored"] and got.answers[0]["flags"] and got.answers[0]["classes"]
    assert got.answers[0]["patient"] == "p7" and "Flagged" in prediction.sentence(got.answers[0])


def test_what_is_missing_is_said(runs, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("covid_mtnet.prediction.home", lambda name: tmp_path / "nowhere")
    with pytest.raises(InputError, match="covid-mtnet weights fetch"): prediction.predict("x.png")
    with pytest.raises(InputError, match="--weights runs/laptop"): prediction.predict("x.png", weights=tmp_path)
    path = png(tmp_path / "film.png", film(1))
    got = prediction.predict([path, tmp_path / "nothing"], weights=runs / "chest_seg_xray")
    assert "--modality xray" in got.failed[1]["error"] and "nothing there" in got.failed[0]["error"] and not got.answers
    part = tmp_path / "part"; part.mkdir()
    (part / "chest_seg_xray").symlink_to(runs / "chest_seg_xray")
    got = prediction.predict([path, volume(tmp_path)[1]], weights=part, modality="xray")
    assert "lung_seg_ct" in got.failed[0]["error"] and got.answers[0]["infection"]["method"] == "adaptive"
    assert len(got.answers[0]["notes"]) == 3
    assert cli.main(["predict", str(path), "--out", "", "--weights", str(runs)]) == 1
    assert "--out: expected a folder" in capsys.readouterr().err
    bad = tmp_path / "bad"
    shutil.copytree(runs / "chest_seg_xray", bad / "chest_seg_xray")
    (bad / "chest_seg_xray" / "parameters.yaml").write_text("size: [64")
    with pytest.raises(InputError, match="parameters.yaml: expected the parameters of a run, as YAML"):
        prediction.predict(path, weights=bad)
    for wrong in (dict(modality="mri"), dict(method="best"), dict(patient="(")):
        with pytest.raises(InputError): prediction.predict(path, weights=runs, **wrong)


def test_the_function_is_there_and_the_package_stays_light():
    code = """import sys, covid_mtnet
light = 'pandas' not in sys.modules
from covid_mtnet import predict
print(light, predict.__module__, 'keras' in sys.modules)"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["True", "covid_mtnet.prediction", "False"]


def test_networks_of_several_seeds_say_their_mean(runs, tmp_path):
    from covid_mtnet import irrcnn
    folder = tmp_path / "several"
    shutil.copytree(runs, folder)
    (folder / "covid_ct" / "own_seed1").mkdir()
    irrcnn.irrcnn(SIZE, 1, width=.0625).save_weights(folder / "covid_ct" / "own_seed1" / "model.weights.h5")
    x = np.stack([to_uint8(phantoms.ct(s, "covid", size=SIZE).image) for s in range(3)])[..., None]
    one, both = prediction.Networks(runs).classes("covid_ct", x), prediction.Networks(folder)
    assert [p.parent.name for p in both.files["covid_ct"]] == ["own", "own_seed1"] and both.threshold("covid_ct") == .4
    mean = both.classes("covid_ct", x)
    both.files["covid_ct"] = both.files["covid_ct"][1:]
    other = both.classes("covid_ct", x)
    assert np.abs(one - other).max() > 1e-3
    np.testing.assert_allclose(mean, (one + other) / 2, atol=1e-6)


@pytest.fixture(scope="module")
def networks(runs): return prediction.Networks(runs)


def slices(*seeds):
    "Phantom slices as a network gets them, and their lungs."
    made = [phantoms.ct(s, "covid", size=SIZE) for s in seeds]
    return np.stack([to_uint8(p.image) for p in made])[..., None], np.stack([p.lungs for p in made])


def looked_at(path, modality="xray"):
    look = prediction._Look(path.name, [path], "")
    prediction._read(look, dict(modality=modality, patient=None, anyway=False))
    return look


def test_the_probability_is_the_mean_of_the_views_for_the_disease(networks, monkeypatch):
    from covid_mtnet.augmentation import Augmentation
    from covid_mtnet.training import predict
    monkeypatch.setitem(networks.given["covid_ct"], "views", 3)
    x, _ = slices(0, 1, 2)
    network, model = networks.loaded("covid_ct")
    views = np.stack([predict(model, x[k:k + 1], 4, 3, Augmentation(**prediction.TTA)) for k in range(3)])[:, :, 0]
    np.testing.assert_allclose(networks.classes("covid_ct", x), views[..., 1].mean(1), atol=1e-6)
    np.testing.assert_allclose(network.predict_on_batch(np.pad(x, ((0, 1), *((0, 0),) * 3)) / np.float32(255))[:3],
                               views[:, 0], atol=1e-5)
    assert np.abs(views[..., 1] - views[..., 0]).min() > 1e-3 and np.ptp(views[..., 1], 1).min() > 1e-6


def test_a_framed_network_sees_the_lungs_and_nothing_else(networks, monkeypatch):
    x, lungs = slices(0, 1, 2)
    outside = np.ones(lungs.shape, bool)
    for o, l in zip(outside, lungs): top, bottom, left, right = rectangle(l, ROOM); o[top:bottom, left:right] = False
    other = np.where(outside[..., None], 255 - x, x)
    assert outside.any((1, 2)).all()
    for frame in ("whole", "lungs"):
        monkeypatch.setitem(networks.given["infection_ct"], "frame", frame)
        a, b = (networks.infection("infection_ct", i, lungs) for i in (x, other))
        assert a[~outside].max() > .01 and np.allclose(a, b, atol=1e-6) == (frame == "lungs") == (not a[outside].any())
    with pytest.raises(InputError, match="of one size"): networks.infection("infection_ct", x, lungs[:, ::2])


def test_what_a_framed_classifier_looked_at_is_shown_in_its_place(networks):
    x, lungs = slices(0, 1)
    looks = [prediction._Look(str(k), [], "", found=l[None], given={"covid_ct": framed_all(i[None], l[None], SIZE)})
             for k, (i, l) in enumerate(zip(x, lungs))]
    prediction._explain(looks, networks, ["covid_ct"])
    for look in looks:
        cam, (top, bottom, left, right) = look.cams["COVID-19"], rectangle(look.found[0])
        inside = cam[top:bottom, left:right]
        assert cam.shape == (SIZE, SIZE) and np.count_nonzero(cam) == np.count_nonzero(inside) > 0
        assert min(inside[0].max(), inside[-1].max(), inside[:, 0].max(), inside[:, -1].max()) > 0


def test_a_network_of_phantoms_among_others_is_said(runs, tmp_path):
    for task in ("chest_seg_xray", "pneumonia_xray"): shutil.copytree(runs / task, tmp_path / task)
    for phantom in (True, False):
        written(tmp_path, "pneumonia_xray", phantom=False); written(tmp_path, "chest_seg_xray", phantom=phantom)
        assert prediction.Networks(tmp_path).phantom == phantom


def test_a_pixel_that_was_scaled_keeps_its_rows_and_columns_apart():
    look = prediction._Look("a", [], "", answer=dict(spacing_mm=[5., .5, 2.], size=[200, 100]))
    assert prediction._spacing(look, 50) == (5, 2, 4)


FILM = phantoms.xray(3, "covid", 30, size=SIZE).lungs[None]
SCAN = np.stack([phantoms.ct(7, "covid", p, size=SIZE).lungs for p in (10, 20, 30, 40)]
                + [np.zeros((SIZE, SIZE), bool)])
BELOW, PART = np.zeros_like(FILM), SCAN.copy()
BELOW[:, 24:40, 28:36] = True
PART[..., :SIZE // 2] = False
PART[:, SIZE // 2:] = False


@pytest.mark.parametrize("kind, found, said", [("film", FILM, None), ("film", BELOW, "brighter than its surroundings"),
                                               ("film", ~FILM & False, "no lung was found"), ("scan", SCAN, None),
                                               ("scan", PART, "lungs fill .* of the body at most")],
                         ids=["film", "between the lungs", "none", "scan", "a quarter"])
def test_lungs_that_are_none_are_flagged(networks, tmp_path, kind, found, said):
    look = looked_at(png(tmp_path / "film.png", film(3)) if kind == "film" else volume(tmp_path)[1])
    assert not look.answer["flags"]
    prediction._measure(look, networks, "adaptive", found, found)
    assert len(look.answer["flags"]) == bool(said) and (not said or re.search(said, look.answer["flags"][0]))


@pytest.mark.parametrize("p, called", [(.39, "not COVID-19"), (.4, "COVID-19"), (.9, "COVID-19")])
def test_a_class_is_called_at_its_threshold_by_the_slices_with_a_lung(networks, tmp_path, p, called):
    look = looked_at(volume(tmp_path)[1])
    each = np.array([p, p, p - .1, p + .1, .01 if p > .39 else .99])
    measured = prediction._measure(look, networks, "adaptive", SCAN, SCAN)
    prediction._conclude(look, *measured, {"covid_ct": each}, networks, [], dict(anyway=False))
    c = look.answer["classes"]["COVID-19"]
    assert c["probabilities"] == pytest.approx({"COVID-19": p, "not COVID-19": 1 - p})
    assert (c["called"], c["threshold"]) == (called, .4)
    assert look.slices["p_COVID-19"].tolist() == pytest.approx(each.tolist())
    assert look.slices["not_measurable"].ne("").tolist() == [False] * 4 + [True]


def test_new_weights_give_new_answers(runs, tmp_path):
    shutil.copytree(runs / "chest_seg_xray", tmp_path / "part" / "chest_seg_xray")
    weights = tmp_path / "part" / "chest_seg_xray" / "nabla3" / "model.weights.h5"
    path = png(tmp_path / "film.png", film(1))
    answers = []
    for new in (False, True):
        if new: shutil.copyfile(runs / "infection_xray" / "fold0" / "model.weights.h5", weights)
        (a,) = prediction.predict(path, tmp_path / "out", tmp_path / "part", "xray", anyway=True).answers
        assert list(a["weights"].values()) == [sha256(weights)]
        assert json.loads((tmp_path / "out" / "film.png" / "case.json").read_text())["key"] == a["key"]
        answers.append(a)
    assert len({a["infection"]["lung_pixels"] for a in answers}) == 2
    given = weights.parents[1] / "parameters.yaml"
    given.write_text(given.read_text() + "mirror: true\n")
    (again,) = prediction.predict(path, tmp_path / "out", tmp_path / "part", "xray", anyway=True).answers
    assert again["weights"] == answers[1]["weights"] and again["key"] != answers[1]["key"]


def test_regions_are_the_mean_of_all_networks_mirrored_as_their_run_was(monkeypatch):
    asked, x = [], np.zeros((3, 8, 8, 1), np.uint8)
    def probabilities(model, images, batch, desc, mirror):
        asked.append((model, mirror))
        return np.full(images.shape[:3], (.2, .6)[model], np.float32)
    monkeypatch.setattr("covid_mtnet.segmentation.probabilities", probabilities)
    for mirror in (False, True):
        of = types.SimpleNamespace(given={"t": dict(mirror=mirror)}, files={"t": ["a", "b"]},
                                   loaded=lambda task, i: (None, i))
        assert prediction._regions(of, "t", x) == pytest.approx(.4) and asked[-2:] == [(0, mirror), (1, mirror)]


def test_hounsfield_units_keep_their_window_and_pictures_use_their_own_range():
    grey = np.linspace(.25, .75, SIZE ** 2, dtype=np.float32).reshape(1, SIZE, SIZE)
    for unit, ends in (("HU", (64, 191)), ("stored", (0, 255))):
        x = prediction._prepared(prediction._Look("a", [], "", image=Image(grey, dict(unit=unit))), SIZE)
        assert (x.min(), x.max()) == ends


def test_the_area_of_one_picture_is_in_square_millimetres():
    q = Quantity(100, 20, 10., 30., np.zeros((9, 9), bool), "density", .5, pixel_mm2=2.)
    said = prediction._told([q], total([q]), {})
    assert (said["lung_mm2"], said["infected_mm2"]) == (200, 40)
    assert "infected_mm2" not in prediction._told([q, q], total([q, q]), {})
