"What the network must hold beyond the lessons of its notebook."
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from covid_mtnet.irrcnn import irrcnn


def test_output_is_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        net = irrcnn(32, width=1 / 16)
        assert net.get_layer("irru3").compute_dtype == "bfloat16"
        p = net(np.random.default_rng(0).random((2, 32, 32, 1), np.float32))
    finally: keras.config.set_dtype_policy("float32")
    assert keras.backend.standardize_dtype(p.dtype) == "float32"
    assert np.isfinite(np.asarray(p)).all() and np.asarray(p).min() >= 0 and np.asarray(p).max() <= 1


def test_every_trainable_weight_learns_and_16_images_overfit():
    keras.utils.set_random_seed(1)
    net = irrcnn(32, width=1 / 16)
    rng = np.random.default_rng(0)
    x, y = rng.random((16, 32, 32, 1), np.float32), np.arange(16) % 2
    net.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    before = [np.asarray(w) for w in net.trainable_variables]
    net.fit(x, y, batch_size=16, epochs=1, verbose=0)
    same = [w.path for w, b in zip(net.trainable_variables, before) if np.array_equal(np.asarray(w), b)]
    assert not same, f"no gradient reached {same}"
    net.fit(x, y, batch_size=16, epochs=60, verbose=0)
    assert (np.asarray(net(x)).argmax(1) == y).all()


SCRIPT = """
import sys, numpy as np
from covid_mtnet.irrcnn import irrcnn
net, x = irrcnn(64, width=1/16), np.random.default_rng(0).random((2, 64, 64, 1), np.float32)
if sys.argv[1] == "save": net.save_weights(sys.argv[2])
else: net.load_weights(sys.argv[2])
np.save(sys.argv[3], np.asarray(net(x)))
"""


def test_the_same_weights_give_the_same_output_under_jax(tmp_path):
    pytest.importorskip("jax", reason="jax is not installed; it is part of the dev extra")
    for backend, what in (("tensorflow", "save"), ("jax", "load")):
        env = dict(os.environ, KERAS_BACKEND=backend, JAX_PLATFORMS="cpu")
        subprocess.run([sys.executable, "-c", SCRIPT, what, tmp_path / "w.weights.h5", tmp_path / f"{backend}.npy"], check=True, env=env)
    np.testing.assert_allclose(np.load(tmp_path / "tensorflow.npy"), np.load(tmp_path / "jax.npy"), atol=1e-5)
