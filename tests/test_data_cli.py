"`covid-mtnet data` on small roots, with a real server for the originals."
import argparse, io, json, shutil, sys, threading, time, types, zipfile
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import numpy as np, pandas as pd, pytest
from PIL import Image

from conftest import SHARED, needs_packs
from covid_mtnet import data, manifests, packs
from covid_mtnet.core import InputError, resource, sha256
from covid_mtnet.downloads import git_blob


def encoded(n, size=(40, 30), form="PNG", dtype="uint8"):
    "A small picture, different for each n."
    a = np.random.default_rng(n).integers(0, 200, size[::-1]).astype(dtype)
    out = io.BytesIO(); Image.fromarray(a).save(out, form)
    return out.getvalue()


@pytest.fixture
def run(capsys):
    "Run the command; (exit code, what it printed)."
    def go(*words):
        parser = argparse.ArgumentParser("covid-mtnet data")
        data.add_arguments(parser)
        code = data.main(parser.parse_args([str(w) for w in words]))
        out = capsys.readouterr()
        return code, out.out + out.err
    return go


@pytest.fixture
def project(tmp_path, monkeypatch):
    "Two tiny sets, 12 slices with masks and 6 X-rays kept as they are; gives the upstream files by address."
    top, lists, upstream = tmp_path / "project", tmp_path / "lists", {}
    top.joinpath("data_manifests").mkdir(parents=True); lists.mkdir()
    for n in ("sets.json", "context.json"): shutil.copy(resource("data_manifests", n), top / "data_manifests" / n)
    monkeypatch.setattr(manifests, "resource", lambda *p: top.joinpath(*p))
    monkeypatch.setattr(packs, "resource", lambda *p: top.joinpath(*p))
    monkeypatch.setattr(manifests, "SETS", ("lung_seg_ct", "pneumonia_xray"))
    rows = []
    for n in range(12):
        image, mask = encoded(n, (64, 64), "TIFF", "int32"), encoded(100 + n, (64, 64), "TIFF")
        upstream[f"a/lungs/c0ffee/ct/train/s {n}.tif"] = image
        upstream[f"a/lungs/c0ffee/ct/train_label/s {n}.tif"] = mask
        rows.append(dict(file=f"images/{n:02}.png", mask=f"masks/{n:02}.png", split="train", patient_id=f"{n:04}",
                         value_min=-900, mask_suspect=0, stored_offset=4096,
                         orig_sha256=sha256(image), orig_mask_sha256=sha256(mask),
                         sha256=sha256(packs.compact(image, "", **packs.RECIPES["lung_seg_ct"])),
                         mask_sha256=sha256(packs.compact_mask(mask, "", size=256)), licence="CC0-1.0",
                         source_repo="a/lungs", source_commit="c0ffee", source_path=f"ct/train/s {n}.tif"))
    pd.DataFrame(rows).to_csv(lists / "ct-lungseg-kmader-256.csv", index=False)
    rows = []
    for n in range(6):
        image = encoded(200 + n, (224, 224), "JPEG"); upstream[f"b/chest/beef/{n}.jpeg"] = image
        rows.append(dict(file=f"pneumonia/{n}.jpeg", label="NORMAL", subtype="none", split="train" if n < 4 else "test",
                         patient_id=f"p{n}", sha256=sha256(image), git_blob=git_blob(image), licence="CC BY 4.0",
                         source_repo="b/chest", source_commit="beef", source_path=f"{n}.jpeg", width=224, height=224))
    pd.DataFrame(rows).to_csv(lists / "pneumonia-xray-224.csv", index=False)
    packs.build(lists, top / "data_manifests", only=["lung_seg_ct", "pneumonia_xray"])
    return upstream


@pytest.fixture
def github(project):
    "A server with the upstream files; `faults` says which address answers with what instead."
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args): pass
        def do_GET(self):
            path = unquote(self.path)[1:]
            self.server.asked.append(path)
            body = self.server.faults.get(path, project.get(path))
            if body is None: return self.send_error(404)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
    s = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    s.asked, s.faults, s.url = [], {}, f"http://127.0.0.1:{s.server_port}"
    threading.Thread(target=s.serve_forever, args=(.02,), daemon=True).start()
    yield s
    s.shutdown(); s.server_close()


def test_fetch_packs_and_verifies(run, github, tmp_path):
    root = tmp_path / "root"; root.mkdir()
    code, text = run("fetch", "lung_seg_ct", "pneumonia_xray", "--data", root, "--mirror", github.url)
    assert code == 0 and "lung_seg_ct: 12 images packed" in text and "licence" in text and len(github.asked) == 30
    code, text = run("verify", "lung_seg_ct", "pneumonia_xray", "--data", root)
    assert code == 0 and "24 files checked, 0 bad" in text and "6 files checked, 0 bad" in text
    code, text = run("fetch", "lung_seg_ct", "--data", root, "--mirror", github.url)
    assert code == 0 and "here already" in text and len(github.asked) == 30
    with manifests.open_set(manifests.load("lung_seg_ct"), root) as s:
        assert np.asarray(Image.open(io.BytesIO(s.read("images/00.png")))).min() >= 4096
    assert not list(root.rglob("*.part")) and not (root / "lung_seg_ct" / "files.csv").exists()


def test_fetch_goes_on_with_what_is_missing(run, github, tmp_path, monkeypatch):
    root = tmp_path / "root"; root.mkdir()
    monkeypatch.setenv("COVID_MTNET_MIRROR", github.url)
    github.faults = {"a/lungs/c0ffee/ct/train/s 3.tif": None,
                     "a/lungs/c0ffee/ct/train/s 4.tif": b"<html><title>Rate limit</title>",
                     "a/lungs/c0ffee/ct/train_label/s 5.tif": b"not the mask"}
    code, text = run("fetch", "lung_seg_ct", "--data", root)
    assert code == 1 and "3 failed" in text and "s%203.tif: expected a file, found HTTP 404" in text
    assert "an HTML page titled 'Rate limit'" in text and "s%205.tif: expected sha256" in text
    assert not (root / "ct-lungseg-kmader-256.zip").exists()
    assert run("status", "lung_seg_ct", "--data", root)[1].split()[4:5] == ["originals"]
    github.faults = {}; github.asked.clear()
    code, text = run("fetch", "lung_seg_ct", "--data", root)
    assert code == 0
    assert sorted(github.asked) == ["a/lungs/c0ffee/ct/train/s 3.tif",
                                    "a/lungs/c0ffee/ct/train/s 4.tif", "a/lungs/c0ffee/ct/train_label/s 5.tif"]


def test_two_who_fetch_one_set_fetch_it_once(github, tmp_path):
    root = tmp_path / "root"; root.mkdir()
    with ThreadPoolExecutor(2) as pool:
        got = list(pool.map(lambda _: data.fetch("lung_seg_ct", root, github.url), range(2)))
    assert sorted(g.get("already", False) for g in got) == [False, True] and len(github.asked) == 24
    assert data.verify(["lung_seg_ct"], root)[0]["bad"] == []


def test_fetch_notices_a_damaged_original(run, github, tmp_path):
    root = tmp_path / "root"; root.mkdir()
    assert run("fetch", "pneumonia_xray", "--data", root, "--mirror", github.url)[0] == 0
    (root / "pneumonia-xray-224.zip").unlink()
    (root / "pneumonia_xray" / "originals" / "2.jpeg").write_bytes(b"damaged")
    github.asked.clear()
    assert run("fetch", "pneumonia_xray", "--data", root, "--mirror", github.url)[0] == 0
    assert github.asked == ["b/chest/beef/2.jpeg"]


def test_fetch_gives_up_on_a_dead_mirror(run, project, tmp_path):
    begun = time.time()
    code, text = run("fetch", "pneumonia_xray", "--data", tmp_path, "--mirror", "http://127.0.0.1:9")
    assert code == 1 and "connection refused" in text and time.time() - begun < 30


def test_fetch_never_mixes_with_phantoms(run, github, tmp_path):
    folder = tmp_path / "pneumonia_xray"; folder.mkdir()
    (folder / "files.csv").write_text(f"path,sha256,label,split\na.png,{'0' * 64},NORMAL,test\n")
    (folder / "meta.json").write_text('{"phantom": true}')
    code, text = run("fetch", "pneumonia_xray", "--data", tmp_path, "--mirror", github.url)
    assert code == 1 and "found phantoms of this set" in text and github.asked == []
    assert "PHANTOM" in run("status", "pneumonia_xray", "--data", tmp_path)[1]


def test_verify_names_every_bad_file(run, project, tmp_path):
    for path, body in project.items():
        (tmp_path / "src" / path).parent.mkdir(parents=True, exist_ok=True); (tmp_path / "src" / path).write_bytes(body)
    root = tmp_path / "root"; root.mkdir()
    code, text = run("pack", "lung_seg_ct", "--from", tmp_path / "src", "--data", root)
    assert code == 0 and "12 images packed\n" in text
    assert run("pack", "lung_seg_ct", "--from", tmp_path / "src", "--data", root)[0] == 1
    first = sha256(root / "ct-lungseg-kmader-256.zip")
    assert run("pack", "lung_seg_ct", "--from", tmp_path / "src", "--data", root, "--force")[0] == 0
    assert sha256(root / "ct-lungseg-kmader-256.zip") == first
    with zipfile.ZipFile(root / "ct-lungseg-kmader-256.zip") as z: members = {n: z.read(n) for n in z.namelist()}
    members["images/03.png"], members["masks/07.png"] = members["images/04.png"], b"zero"
    del members["images/09.png"], members["masks/11.png"]
    packs.write_pack(root / "ct-lungseg-kmader-256.zip", members)
    code, text = run("verify", "--data", root, "--json")
    bad = {b["file"]: b["found"] for line in json.loads(text) for b in line["bad"]}
    assert code == 1 and set(bad) == {"images/03.png", "masks/07.png", "images/09.png", "masks/11.png"}
    assert bad["images/09.png"] == "nothing there"
    code, text = run("verify", "--data", root)
    assert code == 1 and text.count("BAD ") == 4 and "not here: pneumonia_xray" in text
    assert "pack, incomplete" in run("status", "lung_seg_ct", "--data", root)[1]
    (root / "ct-lungseg-kmader-256.zip").write_bytes(b"broken")
    code, text = run("verify", "--data", root)
    assert code == 1 and "expected a readable pack" in text
    assert "broken" in run("status", "lung_seg_ct", "--data", root)[1]


def test_pack_asks_before_it_leaves_out_or_accepts_other_files(run, project, tmp_path):
    src, root = tmp_path / "src", tmp_path / "root"; root.mkdir()
    for path, body in project.items():
        if path.endswith(".jpeg") and "5" not in path:
            (src / path).parent.mkdir(parents=True, exist_ok=True); (src / path).write_bytes(body)
    code, text = run("pack", "pneumonia_xray", "--from", src, "--data", root)
    assert code == 1 and "1 missing: pneumonia/5.jpeg" in text and not list(root.iterdir())
    full = encoded(7, (600, 400), "JPEG"); (src / "b/chest/beef/1.jpeg").write_bytes(full)
    code, text = run("pack", "pneumonia_xray", "--from", src, "--data", root, "--partial")
    assert code == 1 and "1.jpeg: expected the file with hash" in text and "--other-version" in text
    code, text = run("pack", "pneumonia_xray", "--from", src, "--data", root, "--partial", "--other-version")
    assert code == 0 and "5 images packed, 1 files differ in bytes" in text
    m = manifests.load("pneumonia_xray", root)
    assert "packed from originals: 5 of 6" in m.meta["note"] and list(m.files.columns).count("split") == 1
    assert run("verify", "pneumonia_xray", "--data", root)[0] == 0
    with manifests.open_set(m, root) as s: assert Image.open(io.BytesIO(s.read("pneumonia/1.jpeg"))).size == (224, 224)
    (src / "b/chest/beef/2.jpeg").write_bytes(b"broken")
    code, text = run("pack", "pneumonia_xray", "--from", src, "--data", root, "--partial", "--other-version", "--force")
    assert code == 1 and "2.jpeg: expected an image" in text


def test_pack_from_an_archive_as_kaggle_gives_it(run, project, tmp_path):
    root, archive = tmp_path / "root", tmp_path / "archive.zip"; root.mkdir()
    with zipfile.ZipFile(archive, "w") as z:
        for path, body in project.items():
            if path.endswith(".jpeg"): z.writestr(f"chest_xray/train/NORMAL/{Path(path).name}", body)
    for _ in range(2): assert run("pack", "pneumonia_xray", "--from", archive, "--data", root, "--force")[0] == 0
    assert run("verify", "pneumonia_xray", "--data", root)[0] == 0
    with zipfile.ZipFile(archive, "a") as z: z.writestr("../../evil", b"x")
    code, text = run("pack", "pneumonia_xray", "--from", archive, "--data", root, "--force")
    assert code == 1 and "names inside the target folder" in text and not list(tmp_path.rglob("evil"))


def test_fetch_from_kaggle(run, project, tmp_path, monkeypatch):
    root, cache = tmp_path / "root", tmp_path / "cache"; root.mkdir()
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    code, text = run("fetch", "pneumonia_xray", "--data", root, "--kaggle")
    assert code == 1 and "https://www.kaggle.com/datasets/paultimothymooney/chest-xray-pneumonia" in text
    assert "archive.zip" in text and "covid-mtnet data verify pneumonia_xray" in text
    asked = []
    def dataset_download(handle):
        asked.append(handle)
        for n in range(6):
            (cache / "train").mkdir(parents=True, exist_ok=True)
            (cache / "train" / f"{n}.jpeg").write_bytes(encoded(n, (600, 500), "JPEG"))
        return str(cache)
    monkeypatch.setitem(sys.modules, "kagglehub", types.SimpleNamespace(dataset_download=dataset_download))
    code, text = run("fetch", "pneumonia_xray", "--data", root, "--kaggle")
    assert code == 0 and asked == ["paultimothymooney/chest-xray-pneumonia"] and "6 files differ in bytes" in text
    assert run("verify", "pneumonia_xray", "--data", root)[0] == 0
    here, published = manifests.load("pneumonia_xray", root), manifests.load("pneumonia_xray")
    assert here.files.split.tolist() == published.files.split.tolist()


def test_add_registers_a_folder(run, tmp_path):
    src, root = tmp_path / "my images", tmp_path / "root"; root.mkdir()
    for n in range(40):
        for sub in ("images", "infection_masks"):
            (src / sub / "ab"[n % 2]).mkdir(parents=True, exist_ok=True)
            (src / sub / "ab"[n % 2] / f"p{n // 4}_{n}.png").write_bytes(encoded(n if sub == "images" else 500 + n))
    code, text = run("add", "clinic", src, "--data", root, "--group-regex", r"^(p\d+)_", "--licence", "mine")
    assert code == 0 and "clinic: 40 images" in text and "; 10 patients; classes: a, b" in text
    assert "every file counts" not in text
    m = manifests.load("clinic", root)
    assert m.masks == ["infection_mask"] and set(m.files.label) == {"a", "b"}
    assert m.files.groupby("group").split.nunique().max() == 1 and not m.phantom
    assert run("verify", "clinic", "--data", root)[0] == 0
    assert "licence: mine" in run("status", "clinic", "--data", root)[1]
    first = (root / "clinic" / "files.csv").read_bytes()
    assert run("add", "clinic", src, "--data", root)[0] == 1
    assert run("add", "clinic", src, "--data", root, "--group-regex", r"^(p\d+)_",
               "--licence", "mine", "--force")[0] == 0
    assert (root / "clinic" / "files.csv").read_bytes() == first
    (src / "infection_masks" / "a" / "p0_0.png").rename(src / "infection_masks" / "a" / "p0_00.png")
    code, text = run("add", "clinic2", src, "--data", root)
    assert code == 1 and "image without a mask: a/p0_0; mask without an image: a/p0_00" in text
    (src / "infection_masks" / "a" / "p0_00.png").rename(src / "infection_masks" / "a" / "p0_0.png")
    (src / "infection_masks" / "a" / "p0_0.png").write_bytes(encoded(1, (9, 9)))
    (src / "images" / "b" / "p0_1.png").write_bytes(b"no image")
    (src / "images" / "b" / "p0_3.png").write_bytes(encoded(3)[:80])
    code, text = run("add", "clinic2", src, "--data", root)
    assert code == 1 and "images/b/p0_1.png" in text and "images/b/p0_3.png" in text
    assert "infection_masks/a/p0_0.png (9x9, its image 40x30)" in text


def test_add_takes_no_map_of_labels_for_a_mask(run, tmp_path):
    src, root = tmp_path / "src", tmp_path / "root"; root.mkdir()
    lungs = np.zeros((30, 40), np.uint8); lungs[:, 5:15], lungs[:, 25:35] = 1, 2
    for sub in ("images", "lung_masks", "label_maps"): (src / sub).mkdir(parents=True)
    for n in range(6):
        (src / "images" / f"{n}.png").write_bytes(encoded(n))
        for sub in ("lung_masks", "label_maps"): Image.fromarray(lungs).save(src / sub / f"{n}.png")
    code, text = run("add", "mine", src, "--data", root, "--label-from", "none")
    assert code == 1 and "lung_masks/0.png (a map of the labels 0, 1, 2)" in text
    for n in range(6): Image.fromarray(np.minimum(lungs, 1)).save(src / "lung_masks" / f"{n}.png")
    assert run("add", "mine", src, "--data", root, "--label-from", "none")[0] == 0


def test_patients_who_share_a_picture_are_one_group_and_the_copy_names_its_first(run, tmp_path):
    src, root = tmp_path / "src", tmp_path / "root"; src.mkdir(); root.mkdir()
    for name, n in (("p1_a", 7), ("p2_b", 7), ("p3_c", 9)): (src / f"{name}.png").write_bytes(encoded(n))
    assert run("add", "mine", src, "--data", root, "--group-regex", r"^(p\d)")[0] == 0
    files = manifests.load("mine", root).files
    assert files.patient.tolist() == ["p1", "p2", "p3"] and files.group.tolist() == ["p1", "p1", "p3"]
    assert files.duplicate_of.tolist() == ["", "p1_a.png", ""]


def test_a_turned_photograph_and_its_upright_mask_belong_together(run, tmp_path):
    from covid_mtnet.datasets import Preparation, prepare
    src, root, mark = tmp_path / "src", tmp_path / "root", np.zeros((60, 100), np.uint8); root.mkdir()
    mark[5:25, 10:40] = 255
    for sub in ("images", "infection_masks"): (src / sub / "a").mkdir(parents=True)
    for n in range(12):
        turned = Image.fromarray(mark)
        exif = Image.Exif()
        exif[274] = 6
        turned.transpose(Image.Transpose.ROTATE_90).save(src / "images" / "a" / f"{n}.jpg", exif=exif)
        turned.convert("1").save(src / "infection_masks" / "a" / f"{n}.png")
    assert run("add", "phone", src, "--data", root)[0] == 0
    data = prepare("phone", Preparation(64, masks=("infection_mask",)), root, tmp_path / "cache")
    bright, mask = data.images[0, ..., 0] > 127, data.masks["infection_mask"][0, ..., 0] > 0
    assert (bright & mask).sum() > .9 * mask.sum() > 0
    with pytest.raises(InputError, match="masks among infection_mask, found lung_mask"):
        prepare("phone", Preparation(64, masks=("lung_mask",)), root, tmp_path / "cache")


def test_one_broken_set_is_one_broken_line(run, tmp_path):
    (tmp_path / "clinic").mkdir()
    (tmp_path / "clinic" / "files.csv").write_text("path\na.png\n")
    (tmp_path / "clinic" / "set.json").write_text("{}")
    code, text = run("status", "clinic", "pneumonia_xray", "--data", tmp_path, "--json")
    assert code == 0
    assert [(l["set"], l["here"]) for l in json.loads(text)] == [("clinic", "broken"), ("pneumonia_xray", "missing")]


def test_add_refuses_what_it_cannot_mean(run, tmp_path):
    (tmp_path / "empty").mkdir()
    for words, found in ((("pneumonia_xray", tmp_path), "a published set"), (("../x", tmp_path), "letters, digits"),
                         (("x", tmp_path / "none"), "nothing there"), (("x", tmp_path / "empty"), "found none"),
                         (("x", tmp_path / "empty", "--group-regex", "("), "a regular expression")):
        code, text = run("add", *words, "--data", tmp_path)
        assert code == 1 and found in text
    with pytest.raises(InputError, match="folders or none"): packs.add("x", tmp_path, tmp_path, label_from="folder")


def test_add_follows_links_passes_over_hidden_folders_and_leaves_no_mask_out(run, tmp_path):
    def picture(p, seed, kind="PNG"):
        p.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(seed).integers(0, 255, (40, 40)).astype(np.uint8)
        Image.fromarray(noise).save(p, kind)
    for k in range(6):
        picture(tmp_path / "src/normal" / f"n{k}.png", k); picture(tmp_path / "elsewhere" / f"c{k}.png", 10 + k)
    (tmp_path / "src/covid").symlink_to(tmp_path / "elsewhere")
    picture(tmp_path / "src/normal/.ipynb_checkpoints/n0-checkpoint.png", 0)
    root = tmp_path / "root"
    code, text = run("add", "films", tmp_path / "src", "--data", root)
    assert code == 0 and "12 images" in text and "covid, normal" in text
    picture(tmp_path / "odd/images/a.png", 1); picture(tmp_path / "odd/Masks/a.png", 1)
    code, text = run("add", "odd", tmp_path / "odd", "--data", root)
    assert code == 1 and "would be passed over" in text
    picture(tmp_path / "web/a/x.jpg", 1, "GIF")
    code, text = run("add", "web", tmp_path / "web", "--data", root)
    assert code == 1 and "a/x.jpg (unknown bytes b'GIF87a" in text


def test_wrong_usage_is_exit_code_2(run, tmp_path):
    assert run("status", "--data", tmp_path / "none")[0] == 2
    for words in (("verify", "nonesuch"), ("fetch", "nonesuch"), ("pack", "nonesuch", "--from", tmp_path)):
        assert run(*words, "--data", tmp_path)[0] == 2
    with pytest.raises(SystemExit) as e: run("nonesuch")
    assert e.value.code == 2


def test_status_of_an_empty_root_as_json(run, tmp_path):
    code, text = run("status", "--data", tmp_path, "--json")
    lines = json.loads(text)
    assert code == 0 and [l["set"] for l in lines] == list(manifests.SETS)
    assert all(l["here"] == "missing" and l["licence"] and l["use"] for l in lines)
    assert run("verify", "--data", tmp_path)[0] == 1


@needs_packs
def test_the_real_packs_are_whole(run):
    code, text = run("verify", *manifests.SETS, "--data", SHARED)
    assert code == 0 and text.count(" 0 bad") == 10
