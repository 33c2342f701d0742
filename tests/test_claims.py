"The paper's numbers against their own arithmetic, and the rule of the verdict."
import pytest

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
    assert attainable(printed, n)["attainable"] and k in (attainable(printed, n)["below"][0], attainable(printed, n)["above"][0])
    assert round(100 * k / n, 2) != printed


def test_the_third_share_is_attainable_and_cannot_tell_truncation_from_rounding():
    assert attainable(30.84, 5184)["attainable"] and round(159900 / 5184, 2) == 30.84 == 159900 * 100 // 5184 / 100


def test_against_brute_force():
    for n in range(1, 60):
        can = {v for k in range(n + 1) for v in (k * 1000 // n, (2000 * k + n) // (2 * n), -((n - 2000 * k) // (2 * n)))}  # tenths of a percent: cut, half up, half down
        for p in range(1001): assert attainable(p / 10, n, 1)["attainable"] == (p in can), (p, n)


def test_computed_agrees_with_the_given_column():
    for c in claims().to_dict("records"):
        if granularity(c): assert granularity(c).startswith(c["attainable"]), c["id"]
    assert [c["id"] for c in claims().to_dict("records") if granularity(c)] == ["P1", "X1", "C1", "Q1", "Q5", "Q6", "D1", "D2", "D3"]


def test_every_claim_is_listed_in_order_before_anything_has_run():
    table = claims_table({})
    assert list(table["id"]) == list(claims()["id"]) and set(table["verdict"]) == {"not run", "not testable"}


ROW = dict(id="a", n=624, method="bootstrap")
@pytest.mark.parametrize("value, low, high, said", [(.90, .88, .92, "reproduced"), (.86, .83, .8726, "reproduced"), (.86, .83, .8725, "not reproduced"), (.8726, None, None, "reproduced")])
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
