"The defaults of the quantification are what the folds chose on radiologists' outlines; every pixel counts as it says."
import numpy as np
import pytest

from covid_mtnet.core import InputError, read_json, resource
from covid_mtnet.quantification import (SPREAD, THRESHOLDS, Quantity, adaptive, around, clean, counted, implausible,
                                        infected_region, lung_mean, total)

RUNS = {"xray": "infection_xray", "ct": "infection_ct"}
LUNGS = np.zeros((100, 100), bool); LUNGS[20:80, 20:80] = True


@pytest.mark.parametrize("method, modality", THRESHOLDS)
def test_a_default_is_the_median_of_what_the_folds_chose(method, modality):
    rows = read_json(resource("results", "compact", RUNS[modality], "metrics.json"))["rows"]
    chosen = next(r for r in rows if r["id"] == f"{method}.completed.threshold")
    assert chosen["n"] == 5 and THRESHOLDS[method, modality] == pytest.approx(chosen["value"])


def test_the_band_of_a_probability_stays_between_0_and_1():
    low, high = around(.95, "network")
    assert .5 < low < .95 < high < 1 and around(.5, "network")[0] == pytest.approx(1 - around(.5, "network")[1])
    assert around(.2, "adaptive") == pytest.approx((.2 - SPREAD["adaptive"], .2 + SPREAD["adaptive"]))
    for threshold, method in ((55, "network"), (.5, "otsu")):
        with pytest.raises(InputError, match=f"found {threshold if method in SPREAD else method}"):
            around(threshold, method)


def test_evidence_at_the_threshold_counts_in_the_lungs_alone():
    assert (infected_region(np.full(LUNGS.shape, .5), LUNGS, .5) == LUNGS).all()


def test_a_spot_of_four_pixels_in_ten_thousand_counts_and_a_smaller_one_is_noise():
    spots = np.zeros(LUNGS.shape, bool); spots[5, 5:8] = spots[50, 50:54] = True
    assert clean(spots).sum() == 4 and clean(spots)[50, 50:54].all()


def test_a_pixel_has_the_area_of_its_row_times_its_column():
    q = counted(np.ones(LUNGS.shape), LUNGS, "density", .5, spacing=(2., .75))
    assert q.infected_mm2 == 1.5 * LUNGS.sum()


def test_slices_count_by_their_lung_pixels():
    slices = ((100, 20, 10., 30.), (300, 180, 50., 70.))
    a, b = (Quantity(*counts, None, "density", .5, pixel_mm2=2.) for counts in slices)
    got = total([a, b], slice_mm=5)
    names = ("lung_pixels", "infected_pixels", "percent", "low", "high", "lung_ml", "infected_ml")
    assert [got[k] for k in names] == [400, 200, 50, 40, 60, 4, 2]


@pytest.mark.parametrize("sigma", [6., 20.])
@pytest.mark.parametrize("outside", [0., 1.])
def test_what_lies_outside_the_lungs_is_not_in_their_mean(outside, sigma):
    np.testing.assert_allclose(lung_mean(np.where(LUNGS, .5, outside), LUNGS, sigma)[LUNGS], .5, atol=1e-4)


def test_adaptive_is_brightness_above_the_surrounding_lung_in_standard_deviations():
    x = np.where(LUNGS, .3, .9).astype(np.float32); x[40:46, 40:46] = .6
    found, blurred = adaptive(x, LUNGS), lung_mean(x, LUNGS, 1.)
    assert found[42, 42] > 1 > .2 > found[LUNGS & (x < .5)].mean()
    np.testing.assert_allclose(adaptive(.5 * x + .1, LUNGS)[LUNGS], found[LUNGS], atol=1e-3)
    expected = (blurred - lung_mean(blurred, LUNGS, 25.)) / blurred[LUNGS].std()
    np.testing.assert_allclose(found[LUNGS], expected[LUNGS], atol=1e-4)


@pytest.mark.parametrize("pixels, said", [
    (0, "no lung"), (199, "at least 2%"), (200, ""), (8000, ""), (8001, "at most 80%")])
def test_lungs_of_two_to_eighty_percent_are_plausible(pixels, said):
    reason = implausible(np.arange(10_000).reshape(100, 100) < pixels)
    assert said in reason and bool(reason) == bool(said)
