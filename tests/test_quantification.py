"The defaults of the quantification are what the folds chose on radiologists' outlines."
import pytest

from covid_mtnet.core import read_json, resource
from covid_mtnet.quantification import SPREAD, THRESHOLDS, around

RUNS = {"xray": "infection_xray", "ct": "infection_ct"}


@pytest.mark.parametrize("method, modality", THRESHOLDS)
def test_a_default_is_the_median_of_what_the_folds_chose(method, modality):
    rows = read_json(resource("results", "compact", RUNS[modality], "metrics.json"))["rows"]
    chosen = next(r for r in rows if r["id"] == f"{method}.completed.threshold")
    assert chosen["n"] == 5 and THRESHOLDS[method, modality] == pytest.approx(chosen["value"])


def test_the_band_of_a_probability_stays_between_0_and_1():
    low, high = around(.95, "network")
    assert .5 < low < .95 < high < 1 and around(.5, "network")[0] == pytest.approx(1 - around(.5, "network")[1])
    assert around(.2, "adaptive") == pytest.approx((.2 - SPREAD["adaptive"], .2 + SPREAD["adaptive"]))
