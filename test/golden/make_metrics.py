"""Writes metrics.json: what scikit-learn says of predictions, folds and class weights.

    apt-get install python3-sklearn && python3 test/golden/make_metrics.py

Probabilities are stored as the f32 they are. Where scikit-learn refuses to answer, the value is null. The area under the
ROC curve of data with a class without items is null too: scikit-learn refuses that.
"""
import json
import os
import warnings

import numpy as np
import sklearn
from sklearn import metrics
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.utils.class_weight import compute_class_weight

warnings.filterwarnings('ignore')
random = np.random.RandomState(7)


def answer(f, *args, **options):
    try:
        value = float(f(*args, **options))
        return None if np.isnan(value) else value if np.isfinite(value) else '-Infinity'
    except ValueError:
        return None


def case(name, targets, scores):
    scores = (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)
    y, p = np.asarray(targets), scores.argmax(axis=1)
    k = scores.shape[1]
    averages = ['macro', 'weighted', 'micro'] + (['binary'] if k == 2 else [])
    want = {}
    for average in averages:
        want[f'precision {average}'] = answer(metrics.precision_score, y, p, average=average)
        want[f'recall {average}'] = answer(metrics.recall_score, y, p, average=average)
        want[f'f1 {average}'] = answer(metrics.f1_score, y, p, average=average)
        want[f'f2 {average}'] = answer(metrics.fbeta_score, y, p, beta=2, average=average)
        want[f'f0.5 {average}'] = answer(metrics.fbeta_score, y, p, beta=0.5, average=average)
    want['balanced'] = answer(metrics.balanced_accuracy_score, y, p)
    want['balanced adjusted'] = answer(metrics.balanced_accuracy_score, y, p, adjusted=True)
    want['kappa'] = answer(metrics.cohen_kappa_score, y, p)
    want['kappa linear'] = answer(metrics.cohen_kappa_score, y, p, weights='linear')
    want['kappa quadratic'] = answer(metrics.cohen_kappa_score, y, p, weights='quadratic')
    want['mcc'] = answer(metrics.matthews_corrcoef, y, p)
    s = scores.astype(np.float64)
    if k == 2:
        want['auc'] = answer(metrics.roc_auc_score, y, s[:, 1])
    else:
        for kind in ['ovr', 'ovo']:
            for average in ['macro', 'weighted'] + (['micro'] if kind == 'ovr' else []):
                want[f'auc {kind} {average}'] = answer(metrics.roc_auc_score, y, s, multi_class=kind, average=average)
    return {'name': name, 'targets': y.tolist(), 'columns': k, 'scores': [float(v) for v in scores.reshape(-1)], 'want': want}


def drawn(n, k, labels, signal, levels):
    """Scores with ties, as only `levels` values occur, that favour the label."""
    y = random.choice(labels, n)
    s = np.floor(random.rand(n, k) * levels) + 1
    s[np.arange(n), y] += np.floor(signal * random.rand(n) * levels)
    return y, s


cases = [
    case('two classes', *drawn(41, 2, [0, 1], 1, 6)),
    case('two classes, few of one', *drawn(30, 2, [0] * 9 + [1], .5, 50)),
    case('two classes, one without items', *drawn(12, 2, [0], .5, 5)),
    case('two classes, only the positive one, all right', np.ones(4, int), np.array([[1, 3.]] * 4)),
    case('two classes, all predicted as the negative one', np.array([0, 1, 1, 0]), np.array([[3, 1.]] * 4)),
    case('four classes', *drawn(97, 4, [0, 0, 1, 2, 3], 1, 7)),
    case('seven classes, all scores different', *drawn(150, 7, range(7), .7, 2**20)),
    case('five classes, one without items', *drawn(40, 5, [0, 1, 2, 4], .6, 9)),
    case('five classes, one neither with items nor predicted',
         np.array([0, 1, 2, 4, 4, 1]), np.eye(5)[[0, 1, 1, 4, 2, 1]] + .1),
    case('three classes, one item', np.array([2]), np.array([[1, 2, 3.]])),
    case('three classes, items of one', np.array([1, 1, 1]), np.array([[1, 2, 3.], [1, 5, 2], [1, 5, 3]])),
    case('three classes, all scores equal', np.array([0, 1, 2, 2]), np.ones((4, 3))),
]


def folds(n, labels):
    sizes = lambda split: [[int((np.asarray(labels)[valid] == label).sum()) for label in sorted(set(labels))]
                           for _, valid in split]
    x = np.zeros(len(labels))
    return {'n': n, 'labels': labels, 'stratified': sizes(StratifiedKFold(n).split(x, labels)),
            'plain': [len(valid) for _, valid in KFold(n).split(x)]}


lists = [['a'] * 10 + ['b'] * 5 + ['c'] * 8, ['b', 'a', 'c', 'a', 'b', 'a', 'a', 'c', 'b', 'a', 'a'], ['a'] * 7 + ['b'] * 6]
split = [folds(n, labels) for labels, n in zip(lists, [3, 2, 5])]
weights = [{'labels': labels, 'weights': compute_class_weight('balanced', classes=np.array(sorted(set(labels))), y=labels).tolist()}
           for labels in lists]
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'metrics.json')
with open(path, 'w') as file:
    header = {'script': 'test/golden/make_metrics.py', 'sklearn': sklearn.__version__}
    lines = lambda items: ',\n  '.join(json.dumps(item, separators=(',', ':')) for item in items)
    file.write('{"header":%s,\n "cases":[\n  %s\n],\n "folds":[\n  %s\n],\n "weights":[\n  %s\n]}\n'
               % (json.dumps(header), lines(cases), lines(split), lines(weights)))
