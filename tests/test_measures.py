"What stands between a network and its number: lungs, frames, random changes, comparisons."
import numpy as np
import pandas as pd
import pytest

from covid_mtnet import phantoms
from covid_mtnet.augmentation import Augment, Augmentation, draws
from covid_mtnet.cases import phantom_cases, store, stored
from covid_mtnet.core import InputError
from covid_mtnet.datasets import Preparation
from covid_mtnet.evaluation import classification_rows, comparison_rows, seed_rows, wilson
from covid_mtnet.framing import framed
from covid_mtnet.protocols import gather
from covid_mtnet.refinement import contours, largest


def filled(*boxes, size=200):
    "A mask of some rectangles (top, bottom, left, right)."
    mask = np.zeros((size, size), bool)
    for top, bottom, left, right in boxes: mask[top:bottom, left:right] = True
    return mask


LUNGS = filled((20, 80, 20, 80), size=100)
KEPT = {"the larger two of three": ([(10, 60, 10, 60), (10, 50, 100, 140), (100, 130, 10, 40)], 2), "a second lung of a tenth of the first": ([(10, 90, 10, 90), (150, 182, 150, 170)], 2),
        "a second one that is too small beside the first": ([(10, 90, 10, 90), (150, 170, 150, 170)], 1), "one that is too small for the image": ([(0, 10, 0, 10)], 0), "nothing": ([], 0)}
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
    one = pd.DataFrame(dict(path=[f"{k}.png" for k in range(8)], group=[f"p{k}" for k in range(8)], split="test", label=[0, 1] * 4, probability=np.linspace(.1, .9, 8)))
    with_second = lambda other: pd.concat([f.assign(model=m, seed=s) for m, f in (("first", one), ("second", other)) for s in (0, 1)])
    assert next(r for r in count(with_second(one)) if r["id"] == "test.second.gain")["value"] == 0
    with pytest.raises(InputError, match="in the same order"): count(with_second(one[::-1]))


def test_a_split_of_any_name_is_counted_and_the_threshold_needs_both_classes():
    one = pd.DataFrame(dict(path=[f"{k}.png" for k in range(8)], group=[f"p{k}" for k in range(8)], split="mine", label=[0, 1] * 4, probability=np.linspace(.1, .9, 8)))
    rows = {r["id"]: r for r in classification_rows(pd.concat([one, one.assign(split="val_shifted")]), ("mine",))}
    assert rows["mine.auc"]["name"] == "mine ROC AUC" and rows["mine.auc"]["n"] == 8
    for shifted in (one[:0], one[::2].assign(split="val_shifted")):
        with pytest.raises(InputError, match="of both classes"): classification_rows(pd.concat([one, shifted]), ("mine",))


@pytest.mark.parametrize("k", [-1, 68, 84.67])
def test_a_percentage_is_no_count(k):
    with pytest.raises(InputError, match="0 to 67 successes"): wilson(k, 67)


def test_a_split_of_one_class_keeps_its_other_numbers():
    ill = pd.DataFrame(dict(path=[f"{k}.png" for k in range(6)], group=[f"p{k}" for k in range(6)], split="external", label=1, probability=.9))
    both = ill.assign(split="val_shifted", label=[0, 1] * 3, probability=[.1, .9] * 3)
    rows = {r["id"]: r for r in classification_rows(pd.concat([ill, both]), ("external", "val_shifted"))}
    assert rows["external.sensitivity@val"]["value"] == 1 > rows["external.sensitivity@val"]["low"] and rows["external.specificity@val"]["n"] == 0


def test_copies_of_an_image_are_one_image():
    one = pd.DataFrame(dict(path=[f"{k // 2}.png" for k in range(12)], group=[f"p{k // 2}" for k in range(12)], split="val_shifted", label=[0, 0, 1, 1] * 3, probability=np.linspace(.1, .9, 12)))
    rows = {r["id"]: r for r in classification_rows(one)}
    assert rows["val_shifted.auc"]["n"] == rows["threshold.val"]["n"] == 6 and rows["val_shifted.tp@val"]["n"] == 12 and rows["val_shifted.tp@val"]["unit"] == "copies of images"


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
