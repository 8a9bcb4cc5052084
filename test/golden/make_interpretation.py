"""Writes interpretation.json: what scikit-learn says of random predictions.

    pip install scikit-learn && python3 test/golden/make_interpretation.py

Case s, n items, K classes, `outputs` of the model: target i = floor(K u^2) with u of hash_uniform(n, 2 s), prediction i =
target where hash_uniform(n, 2 s + 1) < 0.6, else floor(outputs v) with v = (hash_uniform(n, 2 s + 1) - 0.6) / 0.4.
"""
import json
import os

import numpy as np
import sklearn
from sklearn.metrics import classification_report, confusion_matrix


def hash_uniform(n, seed):
    """n values in [0,1), rounded to f32: lowbias32 of (index + seed * 0x9E3779B9) over 2^32."""
    x = (np.arange(n, dtype=np.uint64) + np.uint64(seed) * np.uint64(0x9E3779B9)) & np.uint64(0xFFFFFFFF)
    x = x.astype(np.uint32)
    x ^= x >> np.uint32(16); x = (x * np.uint32(0x7FEB352D)).astype(np.uint32)
    x ^= x >> np.uint32(15); x = (x * np.uint32(0x846CA68B)).astype(np.uint32)
    x ^= x >> np.uint32(16)
    return (x.astype(np.float64) / 2**32).astype(np.float32).astype(np.float64)


def case(s, n, classes, outputs):
    u, v = hash_uniform(n, 2 * s), hash_uniform(n, 2 * s + 1)
    targets = np.floor(classes * u * u).astype(int)
    predicted = np.where(v < .6, targets, np.floor(outputs * ((v - .6) / .4)).astype(int))
    names = [['tench', 'French horn', 'church', 'garbage truck', 'a', 'b', 'c'][i] for i in range(classes)]
    labels = list(range(classes))
    report = classification_report(targets, predicted, labels=labels, target_names=names, zero_division=0)
    return {'seed': s, 'items': n, 'outputs': outputs, 'vocab': names,
            'matrix': confusion_matrix(targets, predicted, labels=labels).tolist(), 'report': report.splitlines()}


cases = [case(0, 97, 4, 4), case(1, 1009, 7, 7), case(2, 53, 3, 6), case(3, 5, 4, 4)]
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'interpretation.json')
with open(path, 'w') as file:
    header = {'script': 'test/golden/make_interpretation.py', 'sklearn': sklearn.__version__}
    file.write('{"header":%s,\n "cases":[\n  %s\n]}\n' % (json.dumps(header), ',\n  '.join(json.dumps(c) for c in cases)))
