"""Writes networks.json: torchvision's mobilenet_v2 and convnext_tiny, whole and reduced, in float64.

    apt-get install python3-torch python3-torchvision && /usr/bin/python3 test/golden/make_networks.py

Input and numbers come from hash_uniform: the j-th parameter in state-dict order with seed SEED0 + j, weights uniform within
±√(6/fan in), other scales 0.5 + u, biases (u - 0.5)·0.2; a layer scale 0.5 + u; the j-th running statistic with seed 5000 + j,
means (u - 0.5)·0.2, variances 0.5 + u, each rounded to float32. `names` is the SHA-256 of the state dictionary's names and
shapes, one per line, without num_batches_tracked. The whole networks are evaluated; the reduced ones are trained, without
dropout and stochastic depth.
"""
import hashlib
import json
import os

import torch
import torchvision
from torchvision.models.convnext import CNBlockConfig, ConvNeXt
from torchvision.models.mobilenetv2 import MobileNetV2

from make_layers import hash_uniform, operand, summary

SEED0, SEED, OUTPUTS, COTANGENT = 1, 1001, 10, 77


def hash_all(model):
    with torch.no_grad():
        for j, (name, p) in enumerate(model.named_parameters()):
            u = torch.from_numpy(hash_uniform(p.numel(), SEED0 + j)).reshape(p.shape)
            if name.endswith('layer_scale'):
                value = .5 + u
            elif p.dim() > 1:
                value = (2 * u - 1) * (6 / p[0].numel()) ** .5
            else:
                value = .5 + u if name.endswith('weight') else (u - .5) * .2
            p.copy_(value.float())
        for j, (name, b) in enumerate((n, b) for n, b in model.named_buffers() if 'running' in n):
            u = torch.from_numpy(hash_uniform(b.numel(), 5000 + j))
            b.copy_((.5 + u if name.endswith('var') else (u - .5) * .2).float())


def states_of(model):
    states = [(k, v) for k, v in model.state_dict().items() if not k.endswith('num_batches_tracked')]
    names = '\n'.join(f'{k} {",".join(map(str, v.shape))}' for k, v in states)
    return {'states': len(states), 'names': hashlib.sha256(names.encode()).hexdigest()}


def evaluated(name, model, shape):
    model = model.double().eval()
    hash_all(model)
    with torch.no_grad():
        logits = model(operand(shape, SEED, -2, 2))
    return {'name': name, 'shape': shape, **states_of(model), 'logits': logits.tolist()}


def trained(name, model, shape, gradients):
    model = model.double().train()
    hash_all(model)
    x = operand(shape, SEED, -2, 2)
    logits = model(x)
    logits.backward(operand(logits.shape, COTANGENT).detach())
    parameters = dict(model.named_parameters())
    return {'name': name, 'shape': shape, **states_of(model), 'logits': logits.tolist(),
            'dx': summary(x.grad), 'grads': {k: summary(parameters[k].grad) for k in gradients}}


def make():
    setting = [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 2, 2]]
    blocks = [CNBlockConfig(12, 24, 2), CNBlockConfig(24, 40, 1), CNBlockConfig(40, None, 2)]
    golden = {
        'script': 'test/golden/make_networks.py', 'torch': torch.__version__, 'torchvision': torchvision.__version__,
        'seed0': SEED0, 'seed': SEED, 'outputs': OUTPUTS, 'cotangent': COTANGENT,
        'whole': [
            evaluated('mobilenet_v2', torchvision.models.mobilenet_v2(num_classes=OUTPUTS), [2, 3, 64, 64]),
            evaluated('convnext_tiny', torchvision.models.convnext_tiny(num_classes=OUTPUTS), [2, 3, 64, 64]),
        ],
        'reduced': [
            trained('mobilenet_v2', MobileNetV2(OUTPUTS, .5, setting, dropout=0.), [4, 3, 37, 45],
                    ['features.0.0.weight', 'features.1.conv.0.0.weight', 'features.2.conv.1.0.weight',
                     'features.3.conv.2.weight', 'features.3.conv.3.weight', 'classifier.1.bias']),
            trained('convnext_tiny', ConvNeXt(blocks, 0., num_classes=OUTPUTS), [2, 3, 37, 45],
                    ['features.0.0.weight', 'features.0.0.bias', 'features.0.1.weight', 'features.1.0.layer_scale',
                     'features.1.1.block.0.weight', 'features.1.1.block.0.bias', 'features.1.0.block.2.bias',
                     'features.1.0.block.3.weight', 'features.1.0.block.5.bias', 'features.2.1.weight',
                     'features.5.1.block.0.weight', 'classifier.0.weight', 'classifier.2.weight']),
        ],
    }
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'networks.json')
    with open(path, 'w') as file:
        json.dump(golden, file, separators=(',', ':'))
        file.write('\n')
    for c in golden['whole'] + golden['reduced']:
        print(c['name'], c['states'], c['logits'][0][:3])


if __name__ == '__main__':
    make()
