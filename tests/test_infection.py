"Infected regions: every image by a network that never saw its fold, percentages in the right lungs."
import numpy as np
import pandas as pd
import pytest

from covid_mtnet import infection, segmentation, training
from covid_mtnet.masks import read_masks
from covid_mtnet.refinement import refine

SIZE = 32


def test_no_network_learns_from_its_fold_or_from_another_network(tmp_path, monkeypatch):
    training.set_seed(0, deterministic=False)
    learner = segmentation.learner(segmentation.build("nabla3", SIZE, 1, 1 / 16), average=.8)
    learner.trains.run_eagerly = True  # One step per fold: no graph is worth its making
    x = np.random.default_rng(0).integers(0, 200, (6, SIZE, SIZE, 1), np.uint8)
    x[:, 0, 0, 0] = np.arange(6)  # Known by their first pixel
    folds, given, begun, ended, first = np.array([4, 1, 2, 4, 1, 2]), [], [], [], learner.network.get_weights()

    def train(learner, images, truth, *rest, **options):
        assert (truth == (images > 100)).all()
        assert not any(np.asarray(v.numpy()).any() for v in learner.trains.optimizer.variables)
        given.append(images[:, 0, 0, 0].tolist()); begun.append(learner.network.get_weights())
        model, history = segmentation.train(learner, images, truth, *rest, **options)
        ended.append(segmentation.probabilities(model, x, 4))
        return model, history

    monkeypatch.setattr(infection, "train", train)
    found, history = infection.cross_validated(learner, x, (x > 100).astype(np.uint8), folds, tmp_path, 1, 4,
                                               "fold {}".format, learn=np.arange(6) != 5, rate=.01, log=lambda *_: None)
    assert given == [[0, 2, 3], [0, 1, 3, 4], [1, 2, 4]]  # The last image is only looked at
    assert [r["fold"] for r in history] == [1, 2, 4]
    for weights in begun: assert all((a == b).all() for a, b in zip(weights, first))
    for f, p in zip((1, 2, 4), ended): np.testing.assert_allclose(found[folds == f], p[folds == f], atol=1e-6)
    assert min(np.abs(p - q).max() for p, q in zip(ended, [*ended[1:], ended[0]])) > 1e-4
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fold1", "fold2", "fold4"]


def box(top, bottom, left, right):
    m = np.zeros((1, SIZE, SIZE), bool); m[0, top:bottom, left:right] = True
    return m


def test_truth_outside_the_lungs_does_not_count():
    true_lungs, lungs, truth = box(10, 30, 10, 30), box(10, 30, 10, 20), box(0, SIZE, 5, 25)
    evidence = np.where(box(0, SIZE, 15, SIZE), .9, .1)
    table, regions = infection.measure(pd.DataFrame(dict(path=["a"], group=["g"], fold=[0])),
                                       truth, true_lungs, lungs, evidence, [.5], "network", "found", .5)
    r = table.iloc[0]
    assert (r["true"], r["true_lung"], r["found"], r["lung"]) == (300, 400, 100, 200)
    assert (regions == box(10, 30, 15, 20)).all()
    assert (r["tp"], r["fp"], r["fn"], r["tn"]) == (100, 0, truth.sum() - 100, SIZE ** 2 - truth.sum())
    assert infection.true_percent(truth, true_lungs).tolist() == [75]


def test_only_the_lungs_of_the_network_are_completed_where_there_is_nothing(tmp_path):
    lungs, called = box(8, 28, 6, 20), box(8, 28, 18, 26)
    probability, films = np.where(called, .6, .1).astype(np.float32), pd.DataFrame(dict(path=["a"], group=["g"]))
    image = np.full((1, SIZE, SIZE, 1), 90, np.uint8)
    for method, stem, known in (("network", "healthy", box(8, 28, 6, 26)), ("density", "healthy_density", lungs)):
        rows = infection.where_nothing(tmp_path, films, image, lungs, probability,
                                       [.5], method, .1, "xray", "chest_seg_xray")
        stored, paths = read_masks(tmp_path / f"{stem}.npz")
        table = pd.read_csv(tmp_path / f"{stem}.csv")
        assert paths == ["a"] and (stored["lungs"] == known).all() and table["lung"][0] == known.sum()
        assert len(rows) == 3
        if method == "network": assert (stored["infected"] == called).all() and table["percent"][0] == 40


def test_the_band_runs_from_the_highest_threshold_to_the_lowest():
    rows, evidence = pd.DataFrame(dict(path=["a"], group=["g"], fold=[0])), np.where(box(0, SIZE, 15, SIZE), .6, .1)
    t, _ = infection.measure(rows, box(0, SIZE, 5, 25), box(10, 30, 10, 30), box(10, 30, 10, 20),
                             evidence, [.5], "network", "found", .5)
    assert (t["low"][0], t["high"][0]) == (0, 50)


def test_raw_masks_are_cut_at_one_half_and_validation_counts_them(monkeypatch):
    rows = pd.DataFrame(dict(path=["a", "b"], group=["a", "b"], split="test"))
    m = np.zeros((2, 64, 64), bool); m[:, 10:50, 10:50] = True
    truth = m.copy(); truth[0, 10:20] = False
    table, found = segmentation.scored(rows, truth[..., None], np.where(m, .5, .499), "m")
    assert (found["m.raw"] == m).all() and (found["m.refined"] == refine(m[0])).all()
    assert table["fp"].tolist()[:2] == [400, 0]
    monkeypatch.setattr(segmentation, "probabilities", lambda *_: np.where(m, .5, .499))
    got = segmentation.validation(None, truth[..., None].astype(np.uint8))(None)
    assert got["val_dice"] == pytest.approx((2400 / 2800 + 1) / 2)
    assert got["val_accuracy"] == pytest.approx(1 - 400 / 8192)


def test_a_loss_of_masks_gets_the_truth_first():
    p, t = np.full((2, 4, 4, 1), .25, np.float32), np.ones((2, 4, 4, 1), np.float32)
    loss = training.against_moved(lambda truth, output: truth - 2 * output)
    assert (np.asarray(loss(None, np.concatenate([p, t], -1))) == .5).all()
