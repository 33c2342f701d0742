"A run that is killed in the middle ends where an uninterrupted one ends."
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

SCRIPT, EPOCHS = Path(__file__).with_name("train_tiny.py"), 4


def start(folder, backend="tensorflow"):
    env = dict(os.environ, PYTHONUNBUFFERED="1", KERAS_BACKEND=backend,
               JAX_PLATFORMS="cpu", XLA_FLAGS="--xla_backend_optimization_level=0")
    return subprocess.Popen([sys.executable, SCRIPT, folder, str(EPOCHS)], stdout=subprocess.PIPE, text=True, env=env)


def finish(process):
    out, _ = process.communicate(timeout=280)
    assert process.returncode == 0
    lines = out.splitlines()
    return [l for l in lines if l.startswith("hash")][0], sum(l.startswith("epoch") for l in lines)


def kill_after(folder, epochs):
    "kill -9 while the epoch after `epochs` finished ones is running."
    process = start(folder)
    for line in process.stdout:
        if line.startswith(f"epoch {epochs} "): break
    time.sleep(.3)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory): return finish(start(tmp_path_factory.mktemp("whole")))


def test_kill_minus_nine_and_resume_gives_the_same_weights(tmp_path, uninterrupted):
    kill_after(tmp_path, 2)
    assert not (tmp_path / "model.weights.h5").exists()
    result, epochs = finish(start(tmp_path))
    assert epochs <= EPOCHS - 2, "it began anew instead of going on"
    assert result == uninterrupted[0]
    left = sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith("."))
    assert left == ["model.weights.h5", "trained.json"]


def test_the_same_seed_twice_gives_identical_predictions(tmp_path, uninterrupted):
    assert finish(start(tmp_path))[0] == uninterrupted[0]


def test_it_trains_under_jax(tmp_path):
    pytest.importorskip("jax", reason="jax is not installed; it is part of the dev extra")
    _, epochs = finish(start(tmp_path, "jax"))
    assert epochs == EPOCHS


@pytest.fixture(scope="module")
def learner():
    from covid_mtnet.irrcnn import irrcnn
    from covid_mtnet.training import Learner
    return Learner(irrcnn(32, width=1 / 16))


@pytest.mark.parametrize("damage", [lambda b: b[:len(b) // 2], lambda b: b[:-30], lambda b: b"",
                                    lambda b: b"not an archive", lambda b: b[:5000] + bytes(64) + b[5064:]],
                         ids=["half", "end lost", "empty", "text", "zeros inside"])
def test_a_damaged_checkpoint_is_named_and_changes_nothing(tmp_path, learner, damage):
    from covid_mtnet.core import InputError
    from covid_mtnet.training import load_state, save_state
    path, model = tmp_path / "checkpoint.npz", learner.trains
    save_state(path, model, [dict(epoch=1)], "key")
    assert load_state(path, model, "key") == [dict(epoch=1)]
    for v in model.trainable_variables: v.assign(v + 1) # What is stored would be seen
    before = [np.array(v.numpy()) for v in model.variables]
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match="checkpoint.npz.*whole checkpoint.*remove it to begin anew"):
        load_state(path, model, "key")
    assert all((v.numpy() == b).all() for v, b in zip(model.variables, before))


def small(average=0.):
    "A learner of a small network, and 16 images in batches of 16: one step per epoch."
    import keras
    from covid_mtnet.training import Batches, Learner, set_seed
    set_seed(0, deterministic=False)
    network = keras.Sequential([keras.Input((16, 16, 1)), keras.layers.Conv2D(4, 3, activation="relu"),
                                keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2, activation="softmax")])
    y = np.arange(16) % 2
    x = np.random.default_rng(0).random((16, 16, 16, 1)) * 100 + 100 * y[:, None, None, None]
    return Learner(network, average=average), Batches(x.astype(np.uint8), y, 16)


def test_averaged_weights_are_validated_and_kept_and_the_plain_ones_go_on_learning(tmp_path):
    from covid_mtnet.core import digest
    from covid_mtnet.training import fit, load_trained
    (learner, batches), seen, plain = small(.5), [], []
    weights = lambda: [np.array(v.numpy()) for v in learner.network.trainable_variables]
    fit(learner, batches, lambda model: seen.append(weights()) or {}, tmp_path,
        3, rate=.1, schedule="constant", key="k", log=lambda *_: plain.append(weights()))
    assert len(seen) == len(plain) == 3
    mean = plain[0]
    for validated, learned in zip(seen, plain):
        mean = [(m + w) / 2 for m, w in zip(mean, learned)]
        for v, m in zip(validated, mean): np.testing.assert_allclose(v, m, atol=1e-6)
    assert max(np.abs(a - b).max() for a, b in zip(seen[-1], plain[-1])) > .01
    for fresh in (False, True):
        if fresh: learner, _ = small(.5); assert load_trained(tmp_path, learner.network, digest("k", batches.key))
        for v, kept in zip(seen[-1], weights()): np.testing.assert_array_equal(v, kept)


def test_training_stops_when_it_is_told_to(tmp_path):
    from covid_mtnet.training import fit, stalled
    values = iter((.5, .7, .6, .6, .9))
    (learner, batches), stop = small(), lambda history: stalled(history, "val", 2)
    _, history = fit(learner, batches, lambda model: {"val": next(values)}, tmp_path, 5, log=lambda *_: None, stop=stop)
    assert [r["val"] for r in history] == [.5, .7, .6, .6]


def test_a_finished_training_is_taken_up_only_with_its_own_weights_and_key(tmp_path):
    from covid_mtnet.training import load_trained, save_trained
    (learner, _), history = small(), [dict(epoch=1)]
    network = learner.network
    save_trained(tmp_path, network, history, "key")
    assert load_trained(tmp_path, network, "key") == history
    assert load_trained(tmp_path, network, "other") is None
    assert load_trained(tmp_path / "nowhere", network, "key") is None
    network.set_weights([w + 1 for w in network.get_weights()])
    network.save_weights(tmp_path / "model.weights.h5")  # Of another training
    network.set_weights([w + 1 for w in network.get_weights()])
    before = network.get_weights()
    assert load_trained(tmp_path, network, "key") is None
    assert all((a == b).all() for a, b in zip(network.get_weights(), before))


def test_other_images_targets_or_labels_are_another_training(tmp_path):
    from covid_mtnet.training import Batches, fit
    learner, batches = small()
    epochs = lambda b: fit(learner, b, lambda _: {}, tmp_path, 1, key="k",
                           log=lambda row, _: ran.append(row)) and len(ran)
    ran, x, y = [], batches.images, batches.targets
    assert epochs(batches) == 1 and epochs(Batches(x.copy(), y.copy(), 16)) == 1
    assert epochs(Batches(x + 1, y, 16)) == 2 and epochs(Batches(x, 1 - y, 16)) == 3
    assert epochs(Batches(x, y, 16, labels=y)) == 4


def test_without_a_step_the_weights_stay_what_they_were(tmp_path):
    from covid_mtnet.training import fit
    learner, batches = small(.5)
    before = learner.network.get_weights()
    fit(learner, batches, lambda _: {}, tmp_path, 0)
    assert all((a == b).all() for a, b in zip(before, learner.network.get_weights()))


def test_a_restarted_learner_draws_its_dropout_anew():
    from covid_mtnet.irrcnn import irrcnn
    from covid_mtnet.training import Learner
    learner = Learner(irrcnn(32, width=1 / 16, dropout=.5))
    x = np.random.default_rng(0).random((2, 32, 32, 1)).astype(np.float32)
    first = np.asarray(learner.network(x, training=True))
    assert (np.asarray(learner.network(x, training=True)) != first).any()
    learner.restart()
    np.testing.assert_allclose(np.asarray(learner.network(x, training=True)), first, atol=1e-6)


@pytest.mark.parametrize("schedule, rates", [("steps", [1, 1, .1, .1, .01, .01]),
                                             ("cosine", [1, .93435, .755, .51, .265, .08565]), ("constant", [1] * 6)])
def test_the_rate_falls_as_its_schedule_says(schedule, rates):
    from covid_mtnet.training import learning_rate
    assert [learning_rate(e, 6, .003, schedule) for e in range(6)] == pytest.approx([.003 * r for r in rates], rel=1e-4)
