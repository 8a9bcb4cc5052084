"""Writes weighted_losses.json: what PyTorch makes of class weights, label smoothing and the focal loss, in float64.

    apt-get install python3-torch && python3 test/golden/make_weighted_losses.py

The logits are hash_uniform(N K, 1) in [-6, 6), label n is floor(K hash_uniform(N, 2)), weight k is floor(8 hash_uniform(K, 3)) / 4,
which is 0 for some. The focal loss is written out from its definition (Lin et al. 2017): w (1 - p)^gamma times the
cross-entropy. `mean` is PyTorch's, the sum over the sum of the weights of the labels.
"""
import json
import os

import numpy as np
import torch
import torch.nn.functional as F


def hash_uniform(n, seed):
    """n float64 values in [0,1): lowbias32 of (index + seed * 0x9E3779B9) over 2^32."""
    x = (np.arange(n, dtype=np.uint64) + np.uint64(seed) * np.uint64(0x9E3779B9)) & np.uint64(0xFFFFFFFF)
    x = x.astype(np.uint32)
    x ^= x >> np.uint32(16); x = (x * np.uint32(0x7FEB352D)).astype(np.uint32)
    x ^= x >> np.uint32(15); x = (x * np.uint32(0x846CA68B)).astype(np.uint32)
    x ^= x >> np.uint32(16)
    return x.astype(np.float64) / 2**32


def focal(z, y, w, gamma):
    ce = F.cross_entropy(z, y, reduction='none')
    return w[y] * (1 - torch.exp(-ce)) ** gamma * ce


def case(name, n, k, weighted, smoothing, gamma):
    logits = (-6 + 12 * hash_uniform(n * k, 1)).astype(np.float32).astype(np.float64).reshape(n, k)
    z = torch.from_numpy(logits).requires_grad_()
    y = torch.from_numpy(np.floor(k * hash_uniform(n, 2)).astype(np.int64))
    w = torch.from_numpy(np.floor(8 * hash_uniform(k, 3)) / 4) if weighted else torch.ones(k, dtype=torch.float64)
    if gamma > 0:
        each = focal(z, y, w, gamma)
        mean = each.sum() / w[y].sum()
    else:
        each = F.cross_entropy(z, y, weight=w, label_smoothing=smoothing, reduction='none')
        mean = F.cross_entropy(z, y, weight=w, label_smoothing=smoothing)
    mean.backward()
    return {'name': name, 'N': n, 'K': k, 'weighted': weighted, 'smoothing': smoothing, 'gamma': gamma,
            'each': each.tolist(), 'mean': mean.item(), 'dlogits': z.grad.reshape(-1).tolist()}


cases = [case(name, n, k, weighted, smoothing, gamma)
         for n, k in ([7, 5], [3, 10], [9, 2])
         for name, weighted, smoothing, gamma in (['crossEntropy', True, 0, 0], ['labelSmoothing', True, 0.1, 0],
                                                  ['focalLoss', False, 0, 2], ['focalLoss', True, 0, 2],
                                                  ['focalLoss', True, 0, 0.5], ['focalLoss', False, 0, 5])]
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'weighted_losses.json')
with open(path, 'w') as file:
    header = {'script': 'test/golden/make_weighted_losses.py', 'torch': torch.__version__}
    lines = ',\n  '.join(json.dumps(c, separators=(',', ':')) for c in cases)
    file.write('{"header":%s,\n "cases":[\n  %s\n]}\n' % (json.dumps(header), lines))
