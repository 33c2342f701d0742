"A tiny training run in a process of its own: RUN_DIR EPOCHS; prints a line per epoch and the predictions' hash."
import sys

import numpy as np

from covid_mtnet import training
from covid_mtnet.augmentation import Augmentation
from covid_mtnet.core import sha256
from covid_mtnet.irrcnn import irrcnn
from covid_mtnet.phantoms import xray

run_dir, epochs = sys.argv[1], int(sys.argv[2])
training.set_seed(3)
training.precision("float32")
pictures = [xray(s, label=("normal", "pneumonia")[s % 2], size=32) for s in range(48)]
x = np.stack([(p.image * 255).astype(np.uint8)[..., None] for p in pictures])
y = np.arange(48) % 2
batches = training.Batches(x, y, 8, Augmentation(rotate=10, shift=.1, gamma=.3, flip=.5), seed=3, labels=y)
check = lambda model: {"val": float(training.predict(model, x, 16)[0, :, 1].mean())}
learner = training.Learner(irrcnn(32, width=1 / 16, dropout=.2), average=.9, decay=.01)
model, _ = training.fit(learner, batches, check, run_dir, epochs)
weights = b"".join(np.asarray(v.value).tobytes() for v in model.trainable_variables)
views = training.predict(model, x, 16, views=2, augmentation=Augmentation(shift=.1))
print("hash", sha256(weights), sha256(views.tobytes()))
