"Accounts of segmentations: what is stored must explain every number, and a changed file is named."
import numpy as np
import pandas as pd
import pytest
from scipy import ndimage
from scipy.spatial.distance import cdist

from covid_mtnet import infection, masks
from covid_mtnet.core import InputError, read_json, write_json
from covid_mtnet.recount import recompute
from covid_mtnet.manifests import load

NETWORK = dict(size=32, channels=1, width=1.0, skip="add")


def blobs(n, seed, size=32):
    y, x = np.mgrid[:size, :size]
    r = np.random.default_rng(seed).uniform(6, 12, (n, 1, 1))
    return np.hypot(y - size / 2, x - size / 2) < r


@pytest.fixture
def segmentation(tmp_path):
    rows = load("chest_seg_xray").files.query("split == 'test'")
    truth, found = blobs(len(rows), 0), blobs(len(rows), 1)
    table = masks.write_table(tmp_path / "predictions.csv", masks.score(rows, truth, found, "nabla3"))
    masks.write_masks(tmp_path / "masks.npz", {"nabla3.raw": found}, rows["path"])
    stated = masks.segmentation_rows(table) + masks.facts(load("chest_seg_xray").files, 18_981_729)
    write_json(tmp_path / "metrics.json",
               dict(kind="segmentation", set="chest_seg_xray", network=NETWORK, phantom=False, rows=stated, claims={}))
    return tmp_path


@pytest.fixture
def infected(tmp_path):
    rows = load("infection_ct").files
    n = len(rows)
    lungs, truth = blobs(n, 0), blobs(n, 1) & (np.arange(32) < 16)
    evidence = np.where(truth, .8, .2) + np.random.default_rng(2).normal(0, .1, truth.shape)
    table, regions = infection.measure(rows, truth, lungs, lungs, evidence, np.full(n, .5), "network", "found", .1)
    masks.write_table(tmp_path / "predictions.csv", table, infection.COLUMNS)
    masks.write_masks(tmp_path / "masks.npz", {"network.found": regions, "lungs.found": lungs}, rows["path"])
    films = load("chest_seg_xray").files.query("label == 'normal'").head(12)
    lungs, evidence = lungs[:12], evidence[:12]
    images = np.rint(np.clip(evidence, 0, 1) * 255).astype(np.uint8)[..., None]
    given = tmp_path, films, images, lungs, evidence, np.full(12, .5)
    nothing = [r for m in ("network", "density")
               for r in infection.where_nothing(*given, m, .1, "xray", "chest_seg_xray")]
    rows = infection.infection_rows(masks.read_table(tmp_path / "predictions.csv", infection.COLUMNS)) + nothing
    write_json(tmp_path / "metrics.json", dict(kind="infection", set="infection_ct",
                                               healthy="chest_seg_xray", phantom=False, rows=rows, claims={}))
    return tmp_path


@pytest.mark.parametrize("kind", ["segmentation", "infected"])
def test_what_is_stored_explains_every_number(kind, request):
    folder = request.getfixturevalue(kind)
    stored, again = read_json(folder / "metrics.json")["rows"], recompute(folder)
    assert [r["id"] for r in stored] == [r["id"] for r in again]
    np.testing.assert_allclose([r["value"] for r in stored], [r["value"] for r in again])


def test_agreement_of_two_networks_comes_from_their_stored_masks(tmp_path):
    rows = load("chest_seg_xray").files.query("split == 'test'")
    truth, found = blobs(len(rows), 0), {f"{m}.refined": blobs(len(rows), k) for k, m in ((1, "nabla3"), (2, "unet"))}
    def scored(found):
        return pd.concat([masks.score(rows, truth, m, k.split(".")[0], "refined") for k, m in found.items()])
    def dice(one, other): return np.mean([2 * (a & b).sum() / (a.sum() + b.sum()) for a, b in zip(one, other)])
    masks.write_table(tmp_path / "predictions.csv", scored(found))
    masks.write_masks(tmp_path / "masks.npz", found, rows["path"])
    write_json(tmp_path / "metrics.json", dict(kind="segmentation", set="chest_seg_xray",
                                               network=NETWORK, phantom=False, agreement=True, rows=[], claims={}))
    again = {r["id"]: r["value"] for r in recompute(tmp_path)}
    one, other = found.values()
    assert again["test.agreement.shared"] == pytest.approx(
        ((one != truth) & (other != truth)).sum() / (one != truth).sum())
    assert again["test.agreement.dice"] == pytest.approx(dice(one, other))
    # Nothing in the first image, by both
    first = {k: np.where(np.arange(len(m))[:, None, None] == 0, False, m) for k, m in found.items()}
    alike = {r["id"]: r["value"] for r in masks.agreement_rows(scored(first), first, rows["path"])}
    assert alike["test.agreement.dice"] == pytest.approx(dice(one[1:], other[1:]))
    # The same area elsewhere
    elsewhere = found | {"unet.refined": np.roll(found["unet.refined"], 3, 1)}
    masks.write_masks(tmp_path / "masks.npz", elsewhere, rows["path"])
    assert {r["id"]: r["value"] for r in recompute(tmp_path)}["test.agreement.dice"] != again["test.agreement.dice"]


@pytest.mark.parametrize("kind, column, said", [
    ("segmentation", "tp", "the area of mask nabla3.raw"), ("segmentation", "group", "group and split"),
    ("infected", "found", "pixels in mask network.found"), ("infected", "lung", "pixels in mask lungs.found"),
    ("infected", "fp", "tp \\+ fp"), ("infected", "fold", "group and fold")])
def test_a_changed_table_is_named(kind, column, said, request):
    folder = request.getfixturevalue(kind)
    table = pd.read_csv(folder / "predictions.csv", dtype={"group": str})
    table.loc[3, column] = "other" if column == "group" else table.loc[3, column] + 1
    table.to_csv(folder / "predictions.csv", index=False)
    with pytest.raises(InputError, match=said) as e: recompute(folder)
    assert table.loc[3, "path"] in str(e.value)


def test_a_changed_table_of_healthy_images_is_named(infected):
    table = pd.read_csv(infected / "healthy.csv", dtype={"group": str}, keep_default_na=False)
    more = table.loc[3, "infected"] + 1
    for stem, column, value, said in (("healthy", "infected", more, "healthy.npz"),
                                      ("healthy_density", "infected", more, "healthy_density.npz"),
                                      ("healthy", "path", "no.png", "an image and its group of chest_seg_xray")):
        changed = table.copy()
        changed.loc[3, column] = value
        changed.to_csv(infected / f"{stem}.csv", index=False)
        with pytest.raises(InputError, match=said): recompute(infected)
        table.to_csv(infected / f"{stem}.csv", index=False)
    (infected / "healthy.csv").unlink()
    with pytest.raises(InputError, match="stored predictions"): recompute(infected)


def test_the_four_printed_numbers_fit_as_four_statistics():
    printed = dict(accuracy=.9452, weighted_f1=.9466, mean_iou=.8650, dice=.8846)
    lung, dice, error = .237, .8846, 1 - .9452
    tp = dice * error / (2 * (1 - dice))
    fn = lung - tp
    found = masks.overlaps(dict(tp=tp, fp=error - fn, fn=fn, tn=1 - tp - error))
    for k, v in printed.items(): assert abs(found[k] - v) < .004, k
    assert abs(2 * printed["mean_iou"] / (1 + printed["mean_iou"]) - dice) > .03


@pytest.mark.parametrize("seed", range(3))
def test_distances_are_those_between_all_pixels_of_the_outlines(seed):
    rng = np.random.default_rng(seed)
    a, b = (ndimage.gaussian_filter(rng.random((48, 48)), 3) for _ in range(2))
    a, b = a > np.quantile(a, .7), b > np.quantile(b, .9)
    outline = lambda m: np.argwhere(m & ~ndimage.binary_erosion(m))
    d = cdist(outline(a), outline(b))
    there, back = d.min(1), d.min(0)
    expected = max(np.percentile(there, 95), np.percentile(back, 95)), np.concatenate([there, back]).mean()
    for pair in ((a, b), (b, a)): assert masks.distances(*pair) == pytest.approx(expected)
    assert np.isnan(masks.distances(a, a & ~a)).all()
