#!/usr/bin/env python3
"""Anomaly detection: an autoencoder trained on some digits reconstructs other digits badly.

It is trained to reproduce its input through a bottleneck. The reconstruction error is the anomaly score. The
table shows the area under the ROC curve (0.5: guessing, 1: all anomalies score higher than normal images).
"""

import sys
from argparse import Namespace

sys.path.append(__file__.removesuffix("find_anomalies.py"))  # left out by python -P and -I
import _example

BOTTLENECK = 8
"""Units of the layer in the middle."""
NORMAL = (0, 1, 2, 3, 4)
"""The digits of the training images. The others are anomalies."""


def main(arguments: Namespace) -> None:
    import numpy as np
    from sklearn.decomposition import PCA
    from sklearn.metrics import roc_auc_score

    from dnn.datasets import load_dataset
    from dnn.interop.sklearn import DNNRegressor

    data = load_dataset("digits")
    x = data.x_train[np.isin(data.y_train, NORMAL)] / np.float32(255)
    held = data.x_test / np.float32(255)
    strange = ~np.isin(data.y_test, NORMAL)
    n, pixels = x.shape

    def autoencoder(seed):
        settings = {"batch_size": 50, "learning_rate_init": 2e-3}
        model = DNNRegressor((128, BOTTLENECK, 128), **settings, random_state=seed, backend=arguments.backend)
        return np.mean((model.fit(x, x).predict(held) - held) ** 2, axis=1)

    def principal(seed):
        pca = PCA(BOTTLENECK, random_state=seed).fit(x)
        return np.mean((pca.inverse_transform(pca.transform(held)) - held) ** 2, axis=1)

    def roc_auc(score):
        return lambda seed: (roc_auc_score(strange, score(seed)),)

    methods = {
        f"autoencoder {pixels}-128-{BOTTLENECK}-128-{pixels}, {arguments.backend}": roc_auc(autoencoder),
        f"{BOTTLENECK} principal components": roc_auc(principal),
    }
    about = f"{n} training images of 0 to 4; {len(held)} test images, {strange.sum()} of other digits"
    _example.compare(arguments.seeds, f"digits: {about}", ("score", "AUROC"), methods)


if __name__ == "__main__":
    _example.run(main, __doc__)
