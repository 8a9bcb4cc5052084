"""Writes optimizers.json: the numbers that PyTorch's SGD and RAdam make of numbers and gradients from a hash, in float64.

    apt-get install python3-torch && python3 test/golden/make_optimizers.py

40 numbers begin as hash_uniform(40, 7) in [-1,1); step s, from 0, has the gradients hash_uniform(40, 100 + s) in [-1,1).
`after` has the numbers after that many steps.

torch.optim.RAdam adds eps before it takes the bias from the averaged square, fastai after: with 1e-12 it is the same.
Both of its decays are part of the gradient (decoupleWeightDecay false).
"""
import json
import os

import numpy as np
import torch

STEPS = 12


def hash_uniform(n, seed):
    """n float64 values in [0,1): lowbias32 of (index + seed * 0x9E3779B9) over 2^32."""
    x = (np.arange(n, dtype=np.uint64) + np.uint64(seed) * np.uint64(0x9E3779B9)) & np.uint64(0xFFFFFFFF)
    x = x.astype(np.uint32)
    x ^= x >> np.uint32(16); x = (x * np.uint32(0x7FEB352D)).astype(np.uint32)
    x ^= x >> np.uint32(15); x = (x * np.uint32(0x846CA68B)).astype(np.uint32)
    x ^= x >> np.uint32(16)
    return x.astype(np.float64) / 2**32


def numbers(seed):
    return torch.from_numpy((hash_uniform(40, seed) * 2 - 1).astype(np.float32).astype(np.float64))


def case(name, make, **options):
    p = torch.nn.Parameter(numbers(7))
    optimizer = make([p])
    after = {}
    for s in range(STEPS):
        p.grad = numbers(100 + s)
        optimizer.step()
        if s in (0, 3, STEPS - 1):
            after[s + 1] = p.detach().tolist()
    return {'name': name, **options, 'after': after}


cases = [
    case('sgd', lambda p: torch.optim.SGD(p, lr=.1), lr=.1),
    case('sgd', lambda p: torch.optim.SGD(p, lr=.1, momentum=.9, weight_decay=.05), lr=.1, momentum=.9, weightDecay=.05),
    case('radam', lambda p: torch.optim.RAdam(p, lr=.01, betas=(.9, .99), eps=1e-12, weight_decay=.05),
         lr=.01, momentum=.9, squareMomentum=.99, weightDecay=.05),
    case('radam', lambda p: torch.optim.RAdam(p, lr=.01, betas=(.95, .999), eps=1e-12), lr=.01, momentum=.95, squareMomentum=.999),
    # r stays below 5, however long.
    case('radam', lambda p: torch.optim.RAdam(p, lr=.01, betas=(.5, .6), eps=1e-12), lr=.01, momentum=.5, squareMomentum=.6),
]

path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'optimizers.json')
with open(path, 'w') as file:
    header = {'script': 'test/golden/make_optimizers.py', 'torch': torch.__version__, 'numpy': np.__version__}
    lines = ',\n  '.join(json.dumps(c, separators=(',', ':')) for c in cases)
    file.write('{"header":%s,\n "cases":[\n  %s\n]}\n' % (json.dumps(header), lines))
