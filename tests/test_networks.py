"What both networks must hold beyond the lessons of their notebooks."
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from covid_mtnet import training
from covid_mtnet.irrcnn import irrcnn
from covid_mtnet.nabla import dice_loss, nabla3, unet

TINY = {"irrcnn": lambda: irrcnn(32, width=1 / 16), "nabla3": lambda: nabla3(32, width=1 / 4),
        "unet": lambda: unet(32, width=1 / 4)}


def data(name, n=16):
    "Noise with labels, or bright squares with their masks."
    rng = np.random.default_rng(0)
    if name == "irrcnn": return rng.random((n, 32, 32, 1), np.float32), np.arange(n) % 2
    y = np.zeros((n, 32, 32, 1), np.float32)
    for m, (r, c) in zip(y, rng.integers(0, 16, (n, 2))): m[r:r + 16, c:c + 12] = 1
    return (.5 * y + .5 * rng.random(y.shape, np.float32)).astype(np.float32), y


@pytest.mark.parametrize("name", TINY)
def test_output_is_float32_under_mixed_precision(name):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        net = TINY[name]()
        assert {l.compute_dtype for l in net.layers if isinstance(l, keras.layers.BatchNormalization)} == {"bfloat16"}
        p = net(data(name, 2)[0])
    finally: keras.config.set_dtype_policy("float32")
    assert keras.backend.standardize_dtype(p.dtype) == "float32"
    assert np.isfinite(np.asarray(p)).all() and np.asarray(p).min() >= 0 and np.asarray(p).max() <= 1


@pytest.mark.parametrize("name", ["irrcnn", "nabla3"])
def test_every_trainable_weight_learns_and_16_images_overfit(name):
    training.set_seed(1)
    net, (x, y) = TINY[name](), data(name)
    net.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy" if name == "irrcnn" else dice_loss)
    before = [np.asarray(w) for w in net.trainable_variables]
    net.fit(x, y, batch_size=16, epochs=1, verbose=0)
    same = [w.path for w, b in zip(net.trainable_variables, before) if np.array_equal(np.asarray(w), b)]
    assert not same, f"no gradient reached {same}"
    net.fit(x, y, batch_size=16, epochs=60, verbose=0)
    p = np.asarray(net(x))
    assert (p.argmax(1) == y).all() if name == "irrcnn" else ((p > .5) == (y > .5)).mean() > .98


SCRIPT = """
import sys, keras, numpy as np
from test_networks import TINY, data
keras.utils.set_random_seed(0)
for name, make in TINY.items():
    net, path = make(), f"{sys.argv[2]}/{name}.weights.h5"
    net.save_weights(path) if sys.argv[1] == "save" else net.load_weights(path)
    inner = keras.Model(net.input, net.layers[-1].input)
    np.save(f"{sys.argv[2]}/{name}_{sys.argv[1]}.npy", inner.predict(data(name, 2)[0], verbose=0))
"""


def test_the_same_weights_give_the_same_output_under_jax(tmp_path):
    pytest.importorskip("jax", reason="jax is not installed; it is part of the dev extra")
    for backend, what in (("tensorflow", "save"), ("jax", "load")):
        env = dict(os.environ, KERAS_BACKEND=backend, JAX_PLATFORMS="cpu",
                   XLA_FLAGS="--xla_backend_optimization_level=0", PYTHONPATH=os.path.dirname(__file__))
        subprocess.run([sys.executable, "-c", SCRIPT, what, tmp_path], check=True, env=env)
    for name in TINY:
        saved, loaded = (np.load(tmp_path / f"{name}_{w}.npy") for w in ("save", "load"))
        assert saved.std() > 0
        np.testing.assert_allclose(loaded / np.abs(saved).max(), saved / np.abs(saved).max(), atol=1e-5)


PARALLEL = """
import os, sys, tempfile
import numpy as np
if os.environ["KERAS_BACKEND"] == "tensorflow":
    import tensorflow as tf
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)
from covid_mtnet import training
from covid_mtnet.irrcnn import irrcnn
devices = ["cpu:0", "cpu:1"]
training.set_seed(0, deterministic=False)
y = np.arange(32) % 2
x = np.random.default_rng(0).normal(90 + 60 * y[:, None, None, None], 30, (32, 32, 32, 1))
x = np.clip(x, 0, 255).astype(np.uint8)
check = lambda model: {"n": training.predict(model, x, 12).shape[1]}
with training.replicated(devices): network = irrcnn(32, width=1 / 16)
with training.replicated(devices):
    learner, batches = training.Learner(network, average=.9), training.Batches(x, y, 8, labels=y)
    model, history = training.fit(learner, batches, check, tempfile.mkdtemp(), 2)
assert [h["n"] for h in history] == [32, 32] and np.isfinite(history[-1]["loss"])
"""


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_it_trains_on_two_devices(backend):
    pytest.importorskip("jax", reason="jax is not installed; it is part of the dev extra")
    env = dict(os.environ, KERAS_BACKEND=backend, JAX_PLATFORMS="cpu",
               XLA_FLAGS="--xla_force_host_platform_device_count=2 --xla_backend_optimization_level=0")
    subprocess.run([sys.executable, "-c", PARALLEL], check=True, env=env, timeout=280)
