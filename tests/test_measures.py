"What stands between a network and its number: lungs, frames, random changes, comparisons."
import numpy as np
import pandas as pd
import pytest

from covid_mtnet import guard, phantoms
from covid_mtnet.augmentation import Augment, Augmentation, draws, warp
from covid_mtnet.cases import phantom_cases, store, stored
from covid_mtnet.core import InputError
from covid_mtnet.datasets import Preparation, prepare
from covid_mtnet.evaluation import classification_rows, comparison_rows, seed_rows, wilson
from covid_mtnet.framing import framed
from covid_mtnet.protocols import gather
from covid_mtnet.refinement import contours, largest, refine


def filled(*boxes, size=200):
    "A mask of some rectangles (top, bottom, left, right)."
    mask = np.zeros((size, size), bool)
    for top, bottom, left, right in boxes: mask[top:bottom, left:right] = True
    return mask


LUNGS = filled((20, 80, 20, 80), size=100)
KEPT = {"the larger two of three": ([(10, 60, 10, 60), (10, 50, 100, 140), (100, 130, 10, 40)], 2),
        "a second lung of a tenth of the first": ([(10, 90, 10, 90), (150, 182, 150, 170)], 2),
        "a second one that is too small beside the first": ([(10, 90, 10, 90), (150, 170, 150, 170)], 1),
        "one that is too small for the image": ([(0, 10, 0, 10)], 0), "nothing": ([], 0)}
@pytest.mark.parametrize("boxes, kept", KEPT.values(), ids=KEPT)
def test_two_components_of_plausible_size_are_lungs(boxes, kept):
    assert (largest(filled(*boxes)) == filled(*boxes[:kept])).all()


def test_a_contour_runs_half_a_pixel_outside_the_mask():
    assert [(c.min(), c.max()) for c in contours(LUNGS)] == [(19.5, 79.5)]


def test_framing_does_not_stretch_noise_to_contrast():
    flat = (120 + np.random.default_rng(0).integers(0, 3, LUNGS.shape)).astype(np.uint8)
    assert np.ptp(framed(flat, LUNGS, 64).astype(int)) < 30


def test_gamma_uses_its_range_on_both_sides_and_every_second_image_is_flipped():
    table = draws(Augmentation(gamma=.4, flip=.5), 0, 0, range(400))
    gamma = np.log(table[:, 6])
    assert -.4 <= gamma.min() < -.3 and .3 < gamma.max() <= .4 and .4 < (table[:, 0] < 0).mean() < .6


def test_an_erased_rectangle_is_erased():
    x, a = np.repeat(np.uint8([255, 0]), 16)[None, None, :, None].repeat(32, 1), Augmentation(erase=.9)
    table = next(t for t in (draws(a, 0, k, [0]) for k in range(9)) if t[0, 21:23].min() > .2)
    changed = (np.asarray(Augment()(x, table)) * 255).round() != x
    y, x_ = (np.abs(np.arange(32) / 32 - table[0, 19 + i]) < table[0, 21 + i] for i in range(2))
    assert changed[0, ..., 0].any() and (changed[0, ..., 0] == np.outer(y, x_)).all()


@pytest.mark.parametrize("count", [comparison_rows, seed_rows])
def test_models_are_compared_image_by_image(count):
    one = pd.DataFrame(dict(path=[f"{k}.png" for k in range(8)], group=[f"p{k}" for k in range(8)],
                            split="test", label=[0, 1] * 4, probability=np.linspace(.1, .9, 8)))
    with_second = lambda other: pd.concat([f.assign(model=m, seed=s) for m, f in (("first", one), ("second", other))
                                           for s in (0, 1)])
    assert next(r for r in count(with_second(one)) if r["id"] == "test.second.gain")["value"] == 0
    with pytest.raises(InputError, match="in the same order"): count(with_second(one[::-1]))


def test_a_split_of_any_name_is_counted_and_the_threshold_needs_both_classes():
    one = pd.DataFrame(dict(path=[f"{k}.png" for k in range(8)], group=[f"p{k}" for k in range(8)],
                            split="mine", label=[0, 1] * 4, probability=np.linspace(.1, .9, 8)))
    rows = {r["id"]: r for r in classification_rows(pd.concat([one, one.assign(split="val_shifted")]), ("mine",))}
    assert rows["mine.auc"]["name"] == "mine ROC AUC" and rows["mine.auc"]["n"] == 8
    for shifted in (one[:0], one[::2].assign(split="val_shifted")):
        with pytest.raises(InputError, match="of both classes"):
            classification_rows(pd.concat([one, shifted]), ("mine",))


@pytest.mark.parametrize("k", [-1, 68, 84.67])
def test_a_percentage_is_no_count(k):
    with pytest.raises(InputError, match="0 to 67 successes"): wilson(k, 67)


def test_a_split_of_one_class_keeps_its_other_numbers():
    ill = pd.DataFrame(dict(path=[f"{k}.png" for k in range(6)], group=[f"p{k}" for k in range(6)],
                            split="external", label=1, probability=.9))
    both = ill.assign(split="val_shifted", label=[0, 1] * 3, probability=[.1, .9] * 3)
    rows = {r["id"]: r for r in classification_rows(pd.concat([ill, both]), ("external", "val_shifted"))}
    assert rows["external.sensitivity@val"]["value"] == 1 > rows["external.sensitivity@val"]["low"]
    assert rows["external.specificity@val"]["n"] == 0


def test_copies_of_an_image_are_one_image():
    one = pd.DataFrame(dict(path=[f"{k // 2}.png" for k in range(12)], group=[f"p{k // 2}" for k in range(12)],
                            split="val_shifted", label=[0, 0, 1, 1] * 3, probability=np.linspace(.1, .9, 12)))
    rows = {r["id"]: r for r in classification_rows(one)}
    assert rows["val_shifted.auc"]["n"] == rows["threshold.val"]["n"] == 6
    assert rows["val_shifted.tp@val"]["n"] == 12 and rows["val_shifted.tp@val"]["unit"] == "copies of images"


def test_images_that_a_partial_pack_lacks_are_named(tmp_path):
    phantoms.write_root(tmp_path, 24, 32, sets=["covid_ct"])
    rows = pd.DataFrame(dict(path=["gone.png"], set="covid_ct", label=1, group="covid_ct:p", split="test"))
    with pytest.raises(InputError, match="1 missing: gone.png"): gather(rows, Preparation(32), tmp_path)


def test_a_cut_case_is_named(tmp_path):
    path = tmp_path / "a" / "view.npz"
    with pytest.raises(InputError, match="a whole case"): stored(path)
    path.parent.mkdir(); store(phantom_cases(64, 1)[0], path)
    assert stored(path).pixels.shape[-1] == 64
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="a whole case"): stored(path)


def test_every_row_of_a_protocol_gets_its_own_image(tmp_path, monkeypatch):
    monkeypatch.setenv("COVID_MTNET_CACHE", str(tmp_path / "cache"))
    for seed, name in enumerate(("covid_ct", "sarscov2_ct")):
        phantoms.write_root(tmp_path, 12, 32, seed=seed, sets=[name])
    sets = {n: prepare(n, Preparation(32), tmp_path) for n in ("covid_ct", "sarscov2_ct")}
    rows = pd.concat([d.rows[["path"]].assign(set=n, row=range(len(d))) for n, d in sets.items()])
    rows = rows.sample(frac=.7, random_state=0)
    images, _ = gather(rows, Preparation(32), tmp_path)
    assert len({i.tobytes() for i in images}) == len(rows)
    for i, n, k in zip(images, rows["set"], rows["row"]): assert (i == sets[n].images[k]).all()


def test_another_preparation_or_other_images_are_prepared_anew(tmp_path):
    hows = [{}, dict(size=64), dict(low=-820, high=330), dict(low=-1000, high=330),
            dict(low=-820, high=400), dict(masks=("lung_mask",))]
    assert len({Preparation(**h).key for h in hows}) == len(hows)
    seen = []
    for seed in range(2):
        phantoms.write_root(tmp_path, 8, 32, seed=seed, sets=["covid_ct"])
        seen.append(np.array(prepare("covid_ct", Preparation(32), tmp_path, tmp_path / "cache").images))
    assert (seen[0] != seen[1]).any()


def test_the_default_refinement_takes_one_half_and_rounds_a_corner_by_one_pixel():
    want = LUNGS.copy(); want[np.ix_([20, 79], [20, 79])] = False
    assert (refine(np.where(LUNGS, .5, .499)) == want).all()


STILL = draws(Augmentation(), 0, 0, [0])


def still_but(columns):
    t = STILL.copy()
    for k, v in columns.items(): t[0, k] = v
    return t


def test_each_change_of_grey_does_what_it_says():
    ramp = np.tile(np.arange(32, dtype=np.uint8) * 8, (32, 1))[None, ..., None]
    x = ramp[0, ..., 0] / np.float32(255)
    for columns, want in (({6: 2.}, x ** 2), ({7: .5}, (x - .5) / 2 + .5),
                          ({8: .1}, np.clip(x + .1, 0, 1)), ({10 + k: .1 for k in range(9)}, np.clip(x + .1, 0, 1))):
        np.testing.assert_allclose(np.asarray(Augment()(ramp, still_but(columns)))[0, ..., 0], want, atol=2e-4)
    spot = np.zeros((1, 32, 32, 1), np.uint8); spot[0, 16, 16] = 255
    assert np.asarray(Augment()(spot, still_but({9: 1.})))[0, 16, 16, 0] == pytest.approx((70 / 256) ** 2, abs=1e-3)


def test_moves_go_where_they_say():
    x = np.zeros((1, 32, 32, 1), np.float32); x[0, 4:8, 20:24] = 1
    place = lambda t: [float(c.mean()) for c in np.nonzero(np.asarray(warp(x, t, "nearest"))[0, ..., 0])]
    assert place(STILL) == [5.5, 21.5] and place(draws(Augmentation(flip=1.), 0, 0, [0])) == [5.5, 9.5]
    assert place(still_but({2: .125, 5: -.0625})) == [7.5, 17.5] # From output to input: the picture goes the other way
    assert np.abs(draws(Augmentation(shift=.1), 0, 0, range(200))[:, [2, 5]]).max(0) == pytest.approx(.1, abs=.005)
    a = draws(Augmentation(zoom=.2, stretch=.3), 0, 0, range(400))
    assert np.abs(np.log(a[:, 0] * a[:, 4])).max() == pytest.approx(.4, abs=.02)
    assert np.abs(np.log(a[:, 0] / a[:, 4])).max() == pytest.approx(.3, abs=.02)


def test_slices_of_another_plane_are_flagged():
    x = phantoms.ct(1, size=64).image
    for plane in ("coronal", "sagittal"):
        assert "axial" in guard.concerns(x, dict(modality="ct", unit="HU", plane=plane), "ct")[0]
    assert not guard.concerns(x, dict(modality="ct", unit="HU", plane="axial"), "ct")
