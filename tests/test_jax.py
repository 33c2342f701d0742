"A whole task on a machine that has JAX and no TensorFlow, and no GPU."
import json
import os
import subprocess
import sys

import pytest
import yaml

from covid_mtnet.core import resource


def test_a_task_runs_without_tensorflow(tmp_path):
    pytest.importorskip("jax", reason="jax is not installed; it is part of the dev extra")
    profile = yaml.safe_load((resource("config") / "smoke.yaml").read_text())
    task = profile["tasks"]["pneumonia_xray"]
    task["expect"], task["parameters"] = None, task["parameters"] | dict(epochs=1, width=1 / 16)
    profile |= dict(tasks={"pneumonia_xray": task}, phantoms=dict(n={"pneumonia_xray": 96}, size=32, seed=0))
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(profile))
    (tmp_path / "tensorflow.py").write_text("raise ModuleNotFoundError('TensorFlow is out of reach in this test')")
    env = dict(os.environ, KERAS_BACKEND="jax", JAX_PLATFORMS="cpu",
               XLA_FLAGS="--xla_backend_optimization_level=0", COVID_MTNET_CACHE=str(tmp_path / "cache"),
               PYTHONPATH=str(tmp_path))
    command = [sys.executable, "-m", "covid_mtnet.cli", "task", str(tmp_path / "tiny.yaml"), "pneumonia_xray",
               "--runs", str(tmp_path / "runs")]
    run = subprocess.run(command, env=env, capture_output=True, text=True, timeout=400)
    assert run.returncode == 0, run.stdout + run.stderr
    made = json.loads((tmp_path / "runs/tiny/pneumonia_xray/provenance.json").read_text())
    assert made["backend"] == "jax"
