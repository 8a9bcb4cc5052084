"""Writes layers.json: what PyTorch makes of convolutions with groups, dilation and bias, of activations, of layer norm over
channels, of squeeze-and-excitation and of layer scale, in float64.

    apt-get install python3-torch python3-torchvision && /usr/bin/python3 test/golden/make_layers.py

The operands are hash_uniform(n, seed) of the case, in its range and PyTorch's layout (NCHW). Tensors are stored by norm, sum
and first elements.
"""
import json
import os

import numpy as np
import torch
import torch.nn.functional as F
import torchvision


def hash_uniform(n, seed):
    """n float64 values in [0,1): lowbias32 of (index + seed * 0x9E3779B9) over 2^32."""
    x = (np.arange(n, dtype=np.uint64) + np.uint64(seed) * np.uint64(0x9E3779B9)) & np.uint64(0xFFFFFFFF)
    x = x.astype(np.uint32)
    x ^= x >> np.uint32(16); x = (x * np.uint32(0x7FEB352D)).astype(np.uint32)
    x ^= x >> np.uint32(15); x = (x * np.uint32(0x846CA68B)).astype(np.uint32)
    x ^= x >> np.uint32(16)
    return x.astype(np.float64) / 2**32


def operand(shape, seed, low=-1, high=1):
    values = (low + (high - low) * hash_uniform(int(np.prod(shape)), seed)).astype(np.float32).astype(np.float64)
    return torch.from_numpy(values.reshape(shape)).requires_grad_()


def summary(t):
    flat = t.detach().reshape(-1)
    return {'shape': list(t.shape), 'norm': flat.norm().item(), 'sum': flat.sum().item(), 'first': flat[:8].tolist()}


def conv(n, c, h, w, o, kernel, seed, stride=1, padding=0, dilation=1, groups=1):
    options = {'stride': stride, 'padding': padding, 'dilation': dilation, 'groups': groups}
    x, weight = operand([n, c, h, w], seed), operand([o, c // groups, kernel, kernel], seed + 1)
    bias = operand([o], seed + 2)
    y = F.conv2d(x, weight, bias, **options)
    y.backward(operand(y.shape, seed + 3).detach())
    return {'sizes': f'{c} to {o} in {groups}, {kernel}x{kernel} / {stride} + {padding}, dilation {dilation}',
            'n': n, 'c': c, 'h': h, 'w': w, 'o': o, 'kernel': kernel, 'options': options, 'seed': seed,
            'y': summary(y), 'dx': summary(x.grad), 'dw': summary(weight.grad), 'db': summary(bias.grad)}


def activation(name, f, seed, low, high):
    x = operand([3, 5, 4, 7], seed, low, high)
    y = f(x)
    y.backward(operand(y.shape, seed + 1).detach())
    return {'name': name, 'seed': seed, 'range': [low, high], 'y': summary(y), 'dx': summary(x.grad)}


def layer_norm(shape, seed, eps):
    """Over the last axis, as torchvision's LayerNorm2d has it after its permutation."""
    x, weight, bias = operand(shape, seed, -2, 3), operand(shape[-1:], seed + 1), operand(shape[-1:], seed + 2)
    y = F.layer_norm(x, shape[-1:], weight, bias, eps)
    y.backward(operand(y.shape, seed + 3).detach())
    return {'shape': shape, 'seed': seed, 'eps': eps, 'y': summary(y), 'dx': summary(x.grad),
            'dweight': summary(weight.grad), 'dbias': summary(bias.grad)}


def squeeze(channels, squeezed, seed, act, gate):
    layer = torchvision.ops.SqueezeExcitation(channels, squeezed, getattr(torch.nn, act), getattr(torch.nn, gate)).double()
    for i, parameter in enumerate(layer.parameters()):
        parameter.data = operand(parameter.shape, seed + 1 + i).detach()
    x = operand([2, channels, 5, 6], seed)
    y = layer(x)
    y.backward(operand(y.shape, seed + 9).detach())
    return {'channels': channels, 'squeezed': squeezed, 'seed': seed, 'activation': act, 'gate': gate,
            'names': [name for name, _ in layer.named_parameters()], 'y': summary(y), 'dx': summary(x.grad),
            'grads': [summary(parameter.grad) for parameter in layer.parameters()]}


def scale(seed):
    x, s = operand([2, 7, 5, 6], seed), operand([7, 1, 1], seed + 1)
    y = x * s
    y.backward(operand(y.shape, seed + 2).detach())
    return {'seed': seed, 'y': summary(y), 'dx': summary(x.grad), 'ds': summary(s.grad)}


def write():
    functions = {'sigmoid': torch.sigmoid, 'silu': F.silu, 'gelu': F.gelu, 'gelu tanh': lambda x: F.gelu(x, approximate='tanh'),
                 'hardSigmoid': F.hardsigmoid, 'hardSwish': F.hardswish, 'relu6': F.relu6}
    golden = {
        'header': {'script': 'test/golden/make_layers.py', 'torch': torch.__version__, 'torchvision': torchvision.__version__},
        'conv': [
            conv(2, 6, 9, 8, 6, 3, 100, padding=1, groups=6),
            conv(2, 5, 9, 8, 5, 3, 110, stride=2, padding=1, groups=5),
            conv(1, 12, 10, 9, 12, 7, 120, padding=3, groups=12),
            conv(2, 8, 7, 9, 16, 3, 130, padding=1, groups=2),
            conv(2, 6, 7, 9, 9, 3, 140, stride=2, padding=1, groups=3),
            conv(1, 7, 11, 10, 5, 3, 150, padding=2, dilation=2),
            conv(1, 6, 11, 10, 6, 3, 160, stride=2, padding=3, dilation=3, groups=6),
            conv(2, 3, 12, 8, 10, 4, 170, stride=4),
            conv(2, 9, 7, 6, 6, 2, 180, stride=2),
        ],
        'activations': [activation(name, f, 200 + 10 * i + 2 * j, low, high)
                        for i, (name, f) in enumerate(functions.items())
                        for j, (low, high) in enumerate([(-1, 1), (-8, 8), (-60, 60)])],
        'layerNorm': [layer_norm([2, 5, 3, 7], 300, 1e-6), layer_norm([3, 96], 310, 1e-5), layer_norm([2, 3, 2, 40], 320, 1e-6)],
        'squeeze': [squeeze(10, 4, 400, 'ReLU', 'Sigmoid'), squeeze(8, 3, 420, 'SiLU', 'Hardsigmoid')],
        'scale': [scale(500)],
    }
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'layers.json')
    with open(path, 'w') as file:
        file.write('{\n')
        parts = [f'"header":{json.dumps(golden.pop("header"))}']
        parts += [f'"{name}":[\n  ' + ',\n  '.join(json.dumps(c, separators=(',', ':')) for c in cases) + '\n]'
                  for name, cases in golden.items()]
        file.write(',\n'.join(parts) + '\n}\n')


if __name__ == '__main__':
    write()
