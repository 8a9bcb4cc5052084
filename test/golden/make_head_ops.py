"""Writes head_ops.json: fastai's concat pool, batch norm over a matrix, dropout and its whole head, in PyTorch, float64.

    apt-get install python3-torch && python3 test/golden/make_head_ops.py

Operands are hash_uniform(n, seed) of the case, in [-1, 1) and PyTorch's layout. The mask of dropout number j keeps element i
where hash_uniform(n, 9000 + j)[i] >= p. AdaptiveConcatPool2d and create_head are written out from fastai's layers.py and
vision/learner.py; parameters of the head as hash_init has them, running statistics as they begin.
"""
import json
import os

import torch
from torch import nn

from make_leaderboard_network import hash_init, stored
from make_recipe_ops import hash_uniform, operand

HEAD = {'features': 13, 'outputs': 5, 'hidden': 10, 'dropout': .5, 'shape': [6, 13, 3, 5], 'seed': 40, 'seed0': 300}


class AdaptiveConcatPool2d(nn.Module):
    def forward(self, x):
        return torch.cat([nn.functional.adaptive_max_pool2d(x, 1), nn.functional.adaptive_avg_pool2d(x, 1)], 1)


class HashDropout(nn.Module):
    def __init__(self, p, j):
        super().__init__()
        self.p, self.j = p, j

    def forward(self, x):
        if not self.training:
            return x
        mask = torch.from_numpy(hash_uniform(x.numel(), 9000 + self.j) >= self.p).view_as(x)
        return x * mask / (1 - self.p)


def head(features, outputs, hidden, dropout):
    norms = [nn.BatchNorm1d(n) for n in (2 * features, hidden)]
    return nn.Sequential(AdaptiveConcatPool2d(), nn.Flatten(), norms[0], HashDropout(dropout / 2, 0), nn.Linear(2 * features, hidden, bias=False),
                         nn.ReLU(), norms[1], HashDropout(dropout, 1), nn.Linear(hidden, outputs, bias=False))


def case(name, shape, seed, f):
    x = operand(shape, seed, -1, 1).requires_grad_()
    y = f(x)
    y.backward(operand(y.shape, seed + 1, -1, 1))
    return {'name': name, 'seed': seed, 'x': {'shape': shape}, 'y': stored(y), 'dx': stored(x.grad)}


def norm_case(shape, seed):
    norm = nn.BatchNorm1d(shape[1]).double()
    hash_init(norm, seed + 10)
    result = case('batchNorm', shape, seed, norm)
    return {**result, 'dweight': stored(norm.weight.grad), 'dbias': stored(norm.bias.grad),
            'running_mean': stored(norm.running_mean), 'running_var': stored(norm.running_var)}


def make():
    cases = [case('concatPool', shape, 10, lambda x: AdaptiveConcatPool2d()(x).flatten(1)) for shape in
             ([3, 10, 5, 7], [3, 1, 1, 1], [2, 300, 4, 4], [17, 13, 2, 3])]
    cases += [case('globalMaxPool', shape, 20, lambda x: nn.functional.adaptive_max_pool2d(x, 1).flatten(1)) for shape in
              ([3, 10, 5, 7], [2, 1, 3, 1], [17, 13, 2, 3])]
    norms = [norm_case(shape, 30) for shape in ([5, 10], [3, 1], [64, 130])]
    shape = HEAD['shape']
    model = head(*(HEAD[k] for k in ('features', 'outputs', 'hidden', 'dropout'))).double()
    hash_init(model, HEAD['seed0'])
    x = operand(shape, HEAD['seed'], -1, 1).requires_grad_()
    logits = model.train()(x)
    logits.backward(operand(logits.shape, HEAD['seed'] + 1, -1, 1))
    whole = {**HEAD, 'logits': logits.tolist(), 'dx': stored(x.grad), 'grads': {k: stored(p.grad) for k, p in model.named_parameters()},
             'running_stats': {k: stored(b) for k, b in model.named_buffers() if 'running' in k}, 'eval_logits': model.eval()(x).tolist()}
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'head_ops.json')
    with open(path, 'w') as file:
        lines = ',\n  '.join(json.dumps(c, separators=(',', ':')) for c in cases + norms)
        header = {'script': 'test/golden/make_head_ops.py', 'torch': torch.__version__}
        file.write('{"header":%s,\n "cases":[\n  %s\n],\n "head":%s}\n' % (json.dumps(header), lines, json.dumps(whole, separators=(',', ':'))))


if __name__ == '__main__':
    make()
