"""Writes multi_metrics.json: what scikit-learn says of several labels per image, and of predicted numbers.

    apt-get install python3-sklearn && python3 test/golden/make_multi_metrics.py

A label is predicted where its probability, stored as the f32 it is, is above 0.5, or above 0.2 for the names that end in 0.2.
"""
import json
import os
import warnings

import numpy as np
import sklearn
from sklearn import metrics

warnings.filterwarnings('ignore')
random = np.random.RandomState(11)


def labels(name, targets, scores):
    y, s = np.asarray(targets).astype(int), np.asarray(scores).astype(np.float32)
    want = {}
    for threshold in [.5, .2]:
        p = (s > threshold).astype(int)
        end = '' if threshold == .5 else ' 0.2'
        want['accuracy' + end] = float((p == y).mean())
        for average in ['macro', 'weighted', 'micro', 'samples']:
            want[f'precision {average}{end}'] = float(metrics.precision_score(y, p, average=average))
            want[f'recall {average}{end}'] = float(metrics.recall_score(y, p, average=average))
            want[f'f1 {average}{end}'] = float(metrics.f1_score(y, p, average=average))
            want[f'f2 {average}{end}'] = float(metrics.fbeta_score(y, p, beta=2, average=average))
    return {'name': name, 'columns': y.shape[1], 'targets': y.reshape(-1).tolist(),
            'scores': [float(v) for v in s.reshape(-1)], 'want': want}


def drawn(n, k, share, signal):
    y = random.rand(n, k) < share
    return y, np.clip(random.rand(n, k) * (1 - signal) + signal * y, 0, 1)


def numbers(name, targets, predicted):
    y, p = [np.asarray(v).astype(np.float32).reshape(len(targets), -1) for v in (targets, predicted)]
    y64, p64 = y.astype(float), p.astype(float)
    r2 = float(metrics.r2_score(y64, p64))
    want = {'mse': float(metrics.mean_squared_error(y64, p64)), 'rmse': float(np.sqrt(metrics.mean_squared_error(y64, p64))),
            'mae': float(metrics.mean_absolute_error(y64, p64)), 'r2': None if np.isnan(r2) else r2}
    return {'name': name, 'columns': y.shape[1], 'targets': y.reshape(-1).tolist(), 'predicted': p.reshape(-1).tolist(),
            'want': want}


multi = [
    labels('five labels', *drawn(37, 5, .4, .5)),
    labels('few of many labels', *drawn(50, 12, .08, .4)),
    labels('nothing right', [[1, 0], [0, 1]], [[.1, .9], [.9, .1]]),
    labels('nothing predicted', [[1, 0, 1], [0, 0, 1]], [[.1, .1, .1], [.1, 0, .1]]),
    labels('no labels', [[0, 0], [0, 0]], [[.9, .1], [.1, .3]]),
    labels('neither labels nor predictions', [[0, 0], [0, 0]], [[.1, .1], [.1, .1]]),
    labels('one image', [[1, 0, 1]], [[.9, .9, .1]]),
    labels('exactly at the threshold', [[1, 0], [1, 1]], [[.5, .5], [.6, .5]]),
]
values = [
    numbers('one number', 10 * random.rand(20), 10 * random.rand(20)),
    numbers('three numbers', random.randn(15, 3), random.randn(15, 3) * .3),
    numbers('all right', [1, 2, 4], [1, 2, 4]),
    numbers('equal targets, wrong', [2, 2, 2], [1, 2, 4]),
    numbers('equal targets, right', [2, 2, 2], [2, 2, 2]),
    numbers('one image', [2], [1]),
]
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'multi_metrics.json')
with open(path, 'w') as file:
    header = {'script': 'test/golden/make_multi_metrics.py', 'sklearn': sklearn.__version__}
    lines = lambda items: ',\n  '.join(json.dumps(item, separators=(',', ':')) for item in items)
    file.write('{"header":%s,\n "labels":[\n  %s\n],\n "values":[\n  %s\n]}\n' % (json.dumps(header), lines(multi), lines(values)))
