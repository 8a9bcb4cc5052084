"""Writes resnets.json: torchvision's resnet18 and resnet50 and timm's resnet18d and resnet50d, in float64.

    apt-get install python3-torch python3-torchvision
    python3 -m venv --system-site-packages env && env/bin/pip install timm==1.0.29 safetensors --no-deps
    env/bin/python test/golden/make_resnets.py

Input and numbers come from hash_uniform: the j-th parameter in state-dict order with seed SEED0 + j (see hash_init), the
j-th running statistic with seed 5000 + j, means (u - 0.5)*0.2, variances 0.5 + u, each rounded to float32. `names` is the
SHA-256 of the state dictionary's names and shapes, one per line (`conv1.weight 64,3,7,7`), without num_batches_tracked.
"""
import hashlib
import json
import os

import timm
import torch
import torchvision

from make_leaderboard_network import hash_init
from make_recipe_ops import hash_uniform, operand, summary

SEED0, SHAPE, SEED, OUTPUTS, COTANGENT = 1, [2, 3, 70, 58], 1001, 10, 77


def hash_statistics(model):
    with torch.no_grad():
        for j, (name, b) in enumerate((n, b) for n, b in model.named_buffers() if 'running' in n):
            u = torch.from_numpy(hash_uniform(b.numel(), 5000 + j))
            b.copy_((.5 + u if name.endswith('var') else (u - .5) * .2).float())


def case(name, model, gradients):
    model = model.double()
    hash_init(model, SEED0)
    hash_statistics(model)
    states = [(k, v) for k, v in model.state_dict().items() if not k.endswith('num_batches_tracked')]
    names = '\n'.join(f'{k} {",".join(map(str, v.shape))}' for k, v in states)
    x = operand(SHAPE, SEED, -2, 2)
    with torch.no_grad():
        evaluated = model.eval()(x)
        strays = (model.float()(x.float()).double() - evaluated).norm() / evaluated.norm()
        model.double()
    hash_init(model, SEED0)
    hash_statistics(model)
    logits = model.train()(x)
    logits.backward(operand(logits.shape, COTANGENT, -1, 1))
    grads = dict(model.named_parameters())
    return {'name': name, 'states': len(states), 'names': hashlib.sha256(names.encode()).hexdigest(),
            'eval_logits': evaluated.tolist(), 'float32_deviation': strays.item(), 'logits': logits.tolist(),
            'grads': {k: {'shape': list(grads[k].shape), **summary(grads[k].grad)} for k in gradients}}


def make():
    plain = ['conv1.weight', 'bn1.weight', 'layer2.0.downsample.0.weight', 'fc.bias']
    deep = ['conv1.0.weight', 'bn1.weight', 'layer2.0.downsample.1.weight', 'fc.bias']
    cases = [case(n, getattr(torchvision.models, n)(num_classes=OUTPUTS), plain) for n in ('resnet18', 'resnet50')]
    cases += [case(n, timm.create_model(n, num_classes=OUTPUTS), deep) for n in ('resnet18d', 'resnet50d')]
    golden = {'script': 'test/golden/make_resnets.py', 'torch': torch.__version__, 'torchvision': torchvision.__version__,
              'timm': timm.__version__, 'seed0': SEED0, 'input': {'shape': SHAPE, 'seed': SEED, 'lo': -2, 'hi': 2},
              'n_out': OUTPUTS, 'cotangent': COTANGENT, 'cases': cases}
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'resnets.json')
    with open(path, 'w') as file:
        json.dump(golden, file, separators=(',', ':'))
        file.write('\n')
    for c in cases:
        print(c['name'], c['states'], c['float32_deviation'])


if __name__ == '__main__':
    make()
