"The paper's numbers against their own arithmetic, and the rule of the verdict."
import pytest

from covid_mtnet.audit import finding
from covid_mtnet.claims import attainable, claims, claims_table, granularity, smallest_n, verdict


@pytest.mark.parametrize("printed, n, below, above", [(87.26, 624, 544, 545), (84.67, 67, 56, 57), (98.78, 45, 44, 45)])
def test_no_count_of_the_test_set_gives_the_printed_accuracy(printed, n, below, above):
    a = attainable(printed, n)
    assert not a["attainable"] and (a["below"][0], a["above"][0]) == (below, above)


def test_the_smallest_sets_that_could():
    assert smallest_n(98.78) == 82 and smallest_n(84.67) == 124
    assert not any(attainable(84.67, n)["attainable"] for n in range(1, 124))


@pytest.mark.parametrize("printed, k, n", [(33.52, 2245, 6696), (37.58, 3609, 9601)])
def test_infected_shares_are_truncated_not_rounded(printed, k, n):
    found = attainable(printed, n)
    assert found["attainable"] and k in (found["below"][0], found["above"][0])
    assert round(100 * k / n, 2) != printed


def test_the_third_share_is_attainable_and_cannot_tell_truncation_from_rounding():
    assert attainable(30.84, 5184)["attainable"] and round(159900 / 5184, 2) == 30.84 == 159900 * 100 // 5184 / 100


def test_against_brute_force():
    for n in range(1, 60):
        # Tenths of a percent: cut, half up, half down
        def tenths(k): return k * 1000 // n, (2000 * k + n) // (2 * n), -((n - 2000 * k) // (2 * n))
        can = {v for k in range(n + 1) for v in tenths(k)}
        for p in range(1001): assert attainable(p / 10, n, 1)["attainable"] == (p in can), (p, n)


def test_computed_agrees_with_the_given_column():
    for c in claims().to_dict("records"):
        if granularity(c): assert granularity(c).startswith(c["attainable"]), c["id"]
    known = ["P1", "X1", "C1", "Q1", "Q5", "Q6", "D1", "D2", "D3"]
    assert [c["id"] for c in claims().to_dict("records") if granularity(c)] == known


FINDINGS = {"X1": "no: 56/67 = 83.58, 57/67 = 85.07; the smallest n is 124", "P2": "15/16 = 93.75",
            "S3": "as lung IoU Dice were 0.9276", "S4": "as lung Dice, to 0.002, at 22 % lung",
            "L1": "at 19 % lung", "Q1": "yes: 2245/6696, cut off", "Q6": "cut off or rounded",
            "D2": "no: 247 + 178 = 425; 375 + 45 = 420, section 7 says 300",
            "D3": "20 % are 140.8, tested are 57", "D4": "80 % are 213.6",
            "T1": "87.26 of pneumonia minus 83.5 of COVID-19"}
def test_the_column_attainable_says_the_arithmetic_of_every_claim():
    said = {c["id"]: finding(c) for c in claims().to_dict("records")}
    assert all(said[c["id"]].startswith(c["attainable"]) for c in claims().to_dict("records"))
    for id, words in FINDINGS.items(): assert words in said[id], id
    assert said["Q2"] == "unknown: pixel counts not printed" and said["M1"] == "yes"


def test_the_auc_of_figure_10_is_shown_for_both_tasks_that_the_paper_names():
    row = dict(id="test.auc", value=.98, low=.97, high=.99, n=624, method="bootstrap")
    other = dict(row, id="published.transfer.test.auc", value=.96, low=.9, high=1., n=67)
    runs = {"pneumonia_xray": dict(rows=[row], claims={"P3": "test.auc"}), "covid_xray": dict(rows=[other], claims={})}
    ours = claims_table(runs).set_index("id").loc["P3", "ours"]
    assert ours == "0.98 (0.97–0.99), n = 624; covid_xray: 0.96 (0.90–1.00), n = 67"


def test_every_claim_is_listed_in_order_before_anything_has_run():
    table = claims_table({})
    assert list(table["id"]) == list(claims()["id"]) and set(table["verdict"]) == {"not run", "not testable"}


ROW = dict(id="a", n=624, method="bootstrap")
@pytest.mark.parametrize("value, low, high, said", [
    (.90, .88, .92, "reproduced"), (.86, .83, .8726, "reproduced"), (.86, .83, .8725, "not reproduced"),
    (.8726, None, None, "reproduced")])
def test_the_rule(value, low, high, said):
    claim = dict(printed="87.26", unit="%", data="identical")
    assert verdict(claim, dict(ROW, value=value, low=low, high=high)) == said
    assert verdict(claim, dict(ROW, value=value, low=low, high=high), phantom=True) == "phantom run"


def test_counts_agree_in_every_printed_digit():
    count = lambda v: dict(id="a", value=v, low=None, high=None, n=None, method="count")
    assert verdict(dict(printed="18.98", unit="M", data="identical"), count(18_981_761)) == "reproduced"
    assert verdict(dict(printed="5216", unit="", data="identical"), count(5217)) == "not reproduced"


def test_a_phantom_number_never_counts():
    m = dict(phantom=True, rows=[dict(ROW, value=1., low=1., high=1.)], claims={c: "a" for c in claims()["id"]})
    table = claims_table({"t": m})
    assert set(table["verdict"]) == {"phantom run"} and set(table["data"]) == {"phantom"}
