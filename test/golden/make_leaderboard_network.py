"""Writes xresnet18-mish-blur.json: xresnet18 with Mish and MaxBlurPool in PyTorch, in float64, laid out as xresnet18.json.

    apt-get install python3-torch && python3 test/golden/make_leaderboard_network.py

One training forward and backward (label smoothing 0.1, mean), then an eval forward with the updated running statistics.
The input and every parameter come from hash_uniform: the j-th parameter in state-dict order with seed seed0 + j, dim > 1:
(2u - 1)*sqrt(6 / fan_in); 1-d named *.weight: 0.5 + u; other 1-d: (u - 0.5)*0.2; each rounded to float32.
The network is written out from fastai's published xresnet and kornia's MaxBlurPool2d(3, ceil_mode=True).
"""
import json
import math
import os

import torch
from torch import nn
import torch.nn.functional as F

from make_recipe_ops import hash_uniform, max_blur_pool, operand, summary


def conv_layer(n_in, n_out, window=3, stride=1, act=True):
    layers = [nn.Conv2d(n_in, n_out, window, stride, window // 2, bias=False), nn.BatchNorm2d(n_out)]
    return nn.Sequential(*layers, *([nn.Mish()] if act else []))


class ResBlock(nn.Module):
    def __init__(self, n_in, n_out, stride):
        super().__init__()
        self.convpath = nn.Sequential(conv_layer(n_in, n_out, 3, stride), conv_layer(n_out, n_out, act=False))
        pool = [nn.AvgPool2d(stride, ceil_mode=True)] if stride > 1 else []
        self.idpath = nn.Sequential(*pool, *([conv_layer(n_in, n_out, 1, act=False)] if n_in != n_out else []))
        self.act = nn.Mish()

    def forward(self, x):
        return self.act(self.convpath(x) + self.idpath(x))


class MaxBlurPool(nn.Module):
    def forward(self, x):
        return max_blur_pool(x)


def network(outputs):
    widths = [3, 32, 32, 64]
    stem = [conv_layer(widths[i], widths[i + 1], 3, 2 if i == 0 else 1) for i in range(3)]
    widths = [64, 64, 128, 256, 512]
    stages = [nn.Sequential(ResBlock(widths[i], widths[i + 1], 1 if i == 0 else 2), ResBlock(widths[i + 1], widths[i + 1], 1))
              for i in range(4)]
    return nn.Sequential(*stem, MaxBlurPool(), *stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.), nn.Linear(512, outputs))


def hash_init(model, seed0):
    with torch.no_grad():
        for j, (name, p) in enumerate(model.named_parameters()):
            u = torch.from_numpy(hash_uniform(p.numel(), seed0 + j))
            value = (2 * u - 1) * math.sqrt(6 / p[0].numel()) if p.dim() > 1 else .5 + u if name.endswith('weight') else (u - .5) * .2
            p.copy_(value.float().view_as(p))


def stored(t):
    return {'shape': list(t.shape), **summary(t)}


def make():
    SEED0, SHAPE, SEED, TARGETS, OUTPUTS = 1, [4, 3, 64, 64], 1001, [3, 0, 7, 4], 10
    model = network(OUTPUTS).double()
    hash_init(model, SEED0)
    x = operand(SHAPE, SEED, -2, 2).requires_grad_()
    y = torch.tensor(TARGETS)
    logits = model(x)
    smoothed = F.cross_entropy(logits, y, label_smoothing=.1)
    smoothed.backward()
    golden = {
        'script': 'test/golden/make_leaderboard_network.py', 'torch': torch.__version__,
        'seed0': SEED0, 'input': {'shape': SHAPE, 'seed': SEED, 'lo': -2, 'hi': 2}, 'targets': TARGETS, 'n_out': OUTPUTS,
        'logits': logits.tolist(), 'cross_entropy': F.cross_entropy(logits, y).item(), 'label_smoothing': smoothed.item(),
        'input_grad': stored(x.grad),
        'grads': {name: stored(p.grad) for name, p in model.named_parameters()},
        'running_stats': {name: stored(b) for name, b in model.named_buffers() if 'running' in name},
        'eval_logits': model.eval()(x).tolist(),
    }
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'xresnet18-mish-blur.json')
    with open(path, 'w') as file:
        json.dump(golden, file, separators=(',', ':'))
        file.write('\n')


if __name__ == '__main__':
    make()
