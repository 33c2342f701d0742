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
    env = dict(os.environ, PYTHONUNBUFFERED="1", KERAS_BACKEND=backend, JAX_PLATFORMS="cpu", XLA_FLAGS="--xla_backend_optimization_level=0")
    return subprocess.Popen([sys.executable, SCRIPT, folder, str(EPOCHS)], stdout=subprocess.PIPE, text=True, env=env)


def finish(process):
    out, _ = process.communicate(timeout=280)
    assert process.returncode == 0
    return [l for l in out.splitlines() if l.startswith("hash")][0], sum(l.startswith("epoch") for l in out.splitlines())


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
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith(".")) == ["model.weights.h5", "trained.json"]


def test_the_same_seed_twice_gives_identical_predictions(tmp_path, uninterrupted):
    assert finish(start(tmp_path))[0] == uninterrupted[0]


def test_it_trains_under_jax(tmp_path):
    pytest.importorskip("jax", reason="jax is not installed; it is part of the dev extra")
    result, epochs = finish(start(tmp_path, "jax"))
    assert epochs == EPOCHS and len(result) > 100


@pytest.fixture(scope="module")
def learner():
    from covid_mtnet.irrcnn import irrcnn
    from covid_mtnet.training import Learner
    return Learner(irrcnn(32, width=1 / 16))


@pytest.mark.parametrize("damage", [lambda b: b[:len(b) // 2], lambda b: b[:-30], lambda b: b"", lambda b: b"not an archive", lambda b: b[:5000] + bytes(64) + b[5064:]],
                         ids=["half", "end lost", "empty", "text", "zeros inside"])
def test_a_damaged_checkpoint_is_named_and_changes_nothing(tmp_path, learner, damage):
    from covid_mtnet.core import InputError
    from covid_mtnet.training import load_state, save_state
    path, model = tmp_path / "checkpoint.npz", learner.trains
    save_state(path, model, [dict(epoch=1)], "key")
    before = [np.array(v.numpy()) for v in model.variables]
    assert load_state(path, model, "key") == [dict(epoch=1)]
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match="checkpoint.npz.*whole checkpoint.*remove it to begin anew"): load_state(path, model, "key")
    assert all((v.numpy() == b).all() for v, b in zip(model.variables, before))
