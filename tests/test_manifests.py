"The committed manifests: counts, splits by patient, hashes, and their descriptions."
import io, itertools, shutil, zipfile
from pathlib import Path

import numpy as np, pandas as pd, pytest
from PIL import Image

from conftest import SHARED, needs_packs
from covid_mtnet import manifests, packs
from covid_mtnet.core import InputError, resource, sha256
from covid_mtnet.manifests import SETS, load, open_set

# images, then what the provenance notes count
COUNTS = {"pneumonia_xray": {"split": {"train": 4590, "val": 626, "test": 624, "unused": 16},
                             "label": {"NORMAL": 1583, "PNEUMONIA": 4273},
                             "upstream_split": {"train": 5216, "val": 16, "test": 624}},
          "covid_xray": {"split": {"train": 375, "val": 52, "test": 108, "unused": 4},
                         "kind": {"frontal_xray": 535, "ct": 4}},
          "infection_xray": {"split": {"train": 63}, "fold": {0: 13, 1: 12, 2: 12, 3: 14, 4: 12}},
          "chest_seg_xray": {"split": {"train": 562, "val": 71, "test": 71, "unused": 96},
                             "set": {"Montgomery": 138, "Shenzhen": 662}},
          "nih_adult_controls": {"split": {"train": 702, "val": 97, "test": 201},
                                 "label": {"No_findings": 500, "Pneumonia": 500}},
          "covid_ct": {"split": {"train": 423, "val": 118, "test": 203, "unused": 2},
                       "label": {"COVID": 349, "NonCOVID": 397},
                       "upstream_split": {"train": 425, "val": 118, "test": 203}},
          "sarscov2_ct": {"split": {"train": 579, "val": 82, "test": 166}, "label": {"COVID": 418, "NonCOVID": 409}},
          "lung_seg_ct": {"split": {"train": 214, "val": 27, "test": 26},
                          "upstream_split": {"train": 187, "val": 27, "test": 53}, "mask_suspect": {0: 263, 1: 4}},
          "infection_ct": {"split": {"train": 50}, "fold": {k: 10 for k in range(5)}},
          "covid_ct_views": {"split": {"external": 59}, "view": {"Axial": 43, "Coronal": 16}}}


@pytest.fixture(scope="module")
def sets(): return {n: load(n) for n in SETS}


@pytest.mark.parametrize("name", SETS)
def test_counts(sets, name):
    files = sets[name].files
    for column, wanted in COUNTS[name].items(): assert files[column].value_counts().to_dict() == wanted, column


@pytest.mark.parametrize("name", SETS)
def test_no_split_and_no_fold_crosses_a_patient(sets, name):
    f = sets[name].files
    f = f[f.split.isin(["train", "val", "test"])]
    for key in ("group", "patient", "sha256"):
        rows = f[f[key] != ""]
        assert (rows.groupby(key).split.nunique() == 1).all(), key
        if "fold" in f: assert (rows.groupby(key).fold.nunique() == 1).all(), key
    assert (sets[name].files.group != "").all()
    for column in ("duplicate_of", "near_duplicate_of"):  # a copy stays on the side of its original
        if column not in f: continue
        by_path = f.set_index("path")
        for path, other in f.loc[f[column].isin(by_path.index), ["path", column]].itertuples(index=False):
            assert by_path.split[path] == by_path.split[other], (path, other)


@pytest.mark.parametrize("name", SETS)
def test_rows_are_sound(sets, name):
    m = sets[name]
    f = m.files
    assert f.path.is_monotonic_increasing and f.path.is_unique and (f["pack"] != "").all() and (f.licence != "").all()
    assert f.bytes.gt(0).all() and f.width.gt(0).all() and f.height.gt(0).all()
    raw = pd.read_csv(m.folder / "files.csv", dtype=str, keep_default_na=False)
    assert not [c for c in raw if (raw[c] == "").all()], "a column that is empty throughout"
    for c in m.masks: assert ((f[c] == "") == (f[f"{c}_sha256"] == "")).all()
    copies = f[f.sha256.duplicated()]
    assert copies.empty or (copies.duplicate_of != "").all()
    assert m.meta["licence"] and m.meta["citation"] and m.meta["use"] and m.meta["faults"]
    assert m.meta["url"].startswith("https://")


def test_validation_of_pneumonia_is_stratified_by_subtype(sets):
    f = sets["pneumonia_xray"].files
    f = f[f.upstream_split == "train"]
    share = (f.split == "val").groupby([f.label, f.subtype]).mean()
    assert share.between(.115, .125).all() and len(share) == 3
    assert (sets["pneumonia_xray"].files.duplicate_of != "").sum() == 32


def test_known_faults_are_columns(sets):
    lungs, ct, views = (sets[n].files for n in ("lung_seg_ct", "covid_ct", "covid_ct_views"))
    assert set(lungs[lungs.mask_suspect == 1].split) == {"train"}
    conflict = ct[ct.label_conflict != ""]
    assert len(conflict) == 4 and set(conflict[conflict.label == "NonCOVID"].split) == {"unused"}
    assert set(conflict[conflict.label == "COVID"].split) == {"test"}
    article = ct[ct.doi == "10.1101/2020.03.13.20035212"]
    assert set(article.split) == {"train", "val"} and (article.note != "").all()
    twice = views[views.duplicate_of != ""]
    assert len(twice) == 4
    assert set(ct.set_index("path").split[twice.duplicate_of.str.removeprefix("covid_ct:")]) == {"test"}


def test_infection_groups_are_those_of_the_covid_xrays(sets):
    name = lambda f: f.upstream_name.map(lambda p: Path(p).stem)
    a, b = sets["covid_xray"].files, sets["infection_xray"].files
    groups = dict(zip(name(a), a.group))
    assert [groups.get(n) for n in name(b)] == b.group.tolist()


def test_blocks_of_the_second_ct_set_are_contiguous(sets):
    f = sets["sarscov2_ct"].files
    for _, rows in f.groupby("label"):
        rows = rows.sort_values("number")
        assert (rows.group != rows.group.shift()).sum() == rows.group.nunique()
        assert (rows.split != rows.split.shift()).sum() == 3
    assert f.groupby("group").size().max() == 10


def test_size_of_the_manifests():
    assert sum(p.stat().st_size for p in resource("data_manifests").rglob("*") if p.is_file()) < 6 << 20


@pytest.mark.parametrize("name", SETS)
def test_description_is_valid_croissant(name, tmp_path):
    mlc = pytest.importorskip("mlcroissant", reason="needs mlcroissant, a test dependency")
    folder = resource("data_manifests", name)
    d = mlc.Dataset(jsonld=folder / "croissant.json")
    assert not d.metadata.ctx.issues.errors and not d.metadata.ctx.issues.warnings
    records = list(itertools.islice(d.records("images"), 5))
    files = pd.read_csv(folder / "files.csv", dtype=str, nrows=5)
    assert [r["images/path"].decode() for r in records] == files.path.tolist()
    assert [r["images/sha256"].decode() for r in records] == files.sha256.tolist()
    assert isinstance(records[0]["images/width"], (int, np.integer))


def test_a_changed_manifest_is_refused(tmp_path, monkeypatch):
    shutil.copytree(resource("data_manifests", "infection_ct"), tmp_path / "data_manifests" / "infection_ct")
    monkeypatch.setattr(manifests, "resource", lambda *parts: tmp_path.joinpath(*parts))
    assert len(load("infection_ct").files) == 50
    p = tmp_path / "data_manifests" / "infection_ct" / "files.csv"
    p.write_bytes(p.read_bytes().replace(b",0,", b",1,", 1))
    with pytest.raises(InputError, match="files.csv: expected the sha256"): load("infection_ct")


def test_broken_packs_are_named(tmp_path):
    m = load("infection_ct")
    with open_set(m, tmp_path) as s:
        said = r"000.png: expected a file of infection_ct \(or the pack ct-infection-medseg-native.zip"
        with pytest.raises(InputError, match=said): s.read("images/000.png")
    pack = tmp_path / "ct-infection-medseg-native.zip"
    pack.write_bytes(b"PK but not a zip")
    with pytest.raises(InputError, match="expected a zip file"): open_set(m, tmp_path)
    with zipfile.ZipFile(pack, "w") as z: z.writestr("images/000.png", b"other")
    with open_set(m, tmp_path) as s:
        with pytest.raises(InputError, match="images/000.png: expected sha256 .* found sha256"):
            s.read("images/000.png")
        with pytest.raises(InputError, match="images/001.png: .* found nothing there"): s.read("images/001.png")
    (tmp_path / "infection_ct").mkdir()
    pack.rename(tmp_path / "infection_ct" / pack.name)
    with open_set(m, tmp_path) as s: assert s.read("images/000.png", sha256=sha256(b"other")) == b"other"


def test_paths_that_lead_out_are_refused(tmp_path):
    for bad in ("../x.png", "/x.png", "a/../../x.png"):
        with pytest.raises(InputError, match="inside the set"):
            manifests.read_rows(f"path,sha256,label,split\n{bad},{'0' * 64},a,test\n".encode(), "files.csv")


@needs_packs
def test_manifests_are_built_again_byte_for_byte(tmp_path):
    if not (SHARED / "covid-xray-256.csv").is_file(): pytest.skip("needs the lists of the packs beside the packs")
    packs.build(SHARED, tmp_path)
    for name in SETS:
        for file in ("files.csv", "croissant.json"):
            stored = resource("data_manifests", name, file).read_bytes()
            assert (tmp_path / name / file).read_bytes() == stored, (name, file)


def thumb(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("L").resize((48, 48), Image.Resampling.BOX), float).ravel()


@needs_packs
def test_duplicates_across_the_ct_sets_are_really_the_same_pictures():
    views, ct = load("covid_ct_views"), load("covid_ct")
    with open_set(views, SHARED) as a, open_set(ct, SHARED) as b:
        for row in views.files[views.files.duplicate_of != ""].itertuples():
            one, other = thumb(a.read(row.path)), thumb(b.read(row.duplicate_of.removeprefix("covid_ct:")))
            assert np.corrcoef(one, other)[0, 1] > .95, row.path


@needs_packs
def test_no_slice_of_other_hospitals_is_one_of_covid_ct():
    def scaled(name):
        data = load(name)
        with open_set(data, SHARED) as archive: x = np.stack([thumb(archive.read(p)) for p in data.files["path"]])
        x -= x.mean(1, keepdims=True)
        return x / np.linalg.norm(x, axis=1, keepdims=True)
    assert (scaled("covid_ct") @ scaled("sarscov2_ct").T).max() < .95


@needs_packs
def test_originals_pack_to_the_very_bytes_of_the_packs(tmp_path):
    if not (SHARED / "originals-ct").is_dir(): pytest.skip("needs the folder originals-ct in the data root")
    for name, folder, n in (("covid_ct", "originals-ct", 7), ("sarscov2_ct", "originals-ct", 2),
                            ("lung_seg_ct", "originals-ct", 2), ("covid_ct_views", "originals-ct", 1),
                            ("chest_seg_xray", "originals-xray", 12), ("nih_adult_controls", "originals-xray", 2)):
        got = packs.pack(name, SHARED / folder, tmp_path, partial=True)
        assert got["rows"] == n and got["changed"] == 0, (name, got["changed"])
        mine = load(name, tmp_path)
        with open_set(mine, tmp_path) as new, open_set(load(name), SHARED) as old:
            for _, path in mine.members(): assert new.read(path) == old.read(path)


@needs_packs
@pytest.mark.parametrize("name", ["covid_xray", "covid_ct", "lung_seg_ct"])
def test_no_picture_is_nearly_the_same_as_one_of_another_split(name):
    m = load(name)
    f, thumbs = m.files[m.files.split.isin(["train", "val", "test"])], []
    with open_set(m, SHARED) as s:
        for p in f.path:
            image = Image.open(io.BytesIO(s.read(p)))
            if image.mode.startswith("I"):
                pixels = Image.fromarray((np.asarray(image, "float32") - 4096).clip(-820, 330))
            else: pixels = image.convert("L")
            thumbs.append(np.asarray(pixels.resize((48, 48), Image.Resampling.BOX), "float32").ravel())
    across = f.split.to_numpy()[:, None] != f.split.to_numpy()
    assert np.corrcoef(np.stack(thumbs))[across].max() < .985


@pytest.mark.parametrize("path, digits, said",
                         [("a.png", 64, "a path of its own"), ("b.png", 63, "a sha256 of 64 hexadecimal digits")])
def test_a_second_row_of_one_path_or_a_cut_hash_is_named(path, digits, said):
    table = f"path,sha256,label,split\na.png,{'0' * 64},x,test\n{path},{'0' * digits},x,test\n"
    with pytest.raises(InputError, match=f"line 3: expected {said}"):
        manifests.read_rows(table.encode(), "f.csv")
