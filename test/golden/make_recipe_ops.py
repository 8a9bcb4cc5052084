"""Writes recipe_ops.json: what PyTorch makes of Mish and of kornia's MaxBlurPool2d(3, ceil_mode=True), in float64.

    apt-get install python3-torch && python3 test/golden/make_recipe_ops.py

The operands are hash_uniform(n, seed) of the case, in its range and PyTorch's layout (NCHW). kornia's layer is written
out here from its published behaviour: max pooling of 2x2 with stride 1, then a depthwise convolution with [1 2 1] x
[1 2 1] / 16, stride 2 and one pixel of zeros around. Tensors are stored by norm, sum and first elements.
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


def operand(shape, seed, low, high):
    values = (low + (high - low) * hash_uniform(int(np.prod(shape)), seed)).astype(np.float32).astype(np.float64)
    return torch.from_numpy(values.reshape(shape))


def summary(t):
    t = t.detach().reshape(-1)
    return {'norm': t.norm().item(), 'sum': t.sum().item(), 'first': t[:8].tolist()}


def case(name, shape, seed, low, high, f):
    x = operand(shape, seed, low, high).requires_grad_()
    y = f(x)
    y.backward(operand(y.shape, seed + 1, -1, 1))
    return {'name': name, 'seed': seed, 'range': [low, high],
            'x': {'shape': list(x.shape)}, 'y': {'shape': list(y.shape), **summary(y)}, 'dx': {'shape': list(x.shape), **summary(x.grad)}}


def max_blur_pool(x):
    k = torch.tensor([1., 2., 1.], dtype=x.dtype)
    kernel = (k[:, None] * k[None, :] / 16).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(F.max_pool2d(x, 2, stride=1, ceil_mode=True), kernel, stride=2, padding=1, groups=x.shape[1])


def write():
    cases = [case('mish', [3, 5, 4, 7], 10, *r, torch.nn.Mish()) for r in ([-1, 1], [-8, 8], [-60, 60])]
    cases += [case('maxBlurPool', shape, 20, -1, 1, max_blur_pool) for shape in
              ([2, 5, 8, 8], [2, 3, 7, 9], [1, 13, 9, 6], [2, 4, 2, 2], [1, 1, 3, 2], [1, 2, 2, 13])]

    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'recipe_ops.json')
    with open(path, 'w') as file:
        header = {'script': 'test/golden/make_recipe_ops.py', 'torch': torch.__version__, 'numpy': np.__version__}
        lines = ',\n  '.join(json.dumps(c, separators=(',', ':')) for c in cases)
        file.write('{"header":%s,\n "cases":[\n  %s\n]}\n' % (json.dumps(header), lines))


if __name__ == '__main__':
    write()
