"""Writes grad_cam.json: Grad-CAM of the network of test/helpers/tiny.ts, in PyTorch, float64.

    apt-get install python3-torch && python3 test/golden/make_grad_cam.py

The network is two convolutions (3 x 3, stride 2) with batch norm and ReLU, a global average pool and a linear layer. The image
is floor(256 * hash_uniform(3 * 16 * 16, 70)) in [3,H,W], normalized by mean and std below. Parameters are those of hash_init with
seed 500; the running means of norm i are those of hash_uniform(n, 600 + i) in [-0.2, 0.2), the variances of 700 + i in [0.5, 1.5).
The map is written out from Selvaraju et al. 2017, arXiv:1610.02391, equations 1 and 2.
"""
import json
import os

import torch
from torch import nn

from make_leaderboard_network import hash_init
from make_recipe_ops import hash_uniform

SIZE, OUTPUTS = 16, 3
MEAN, STD = [.5, .4, .3], [.2, .3, .4]


def block(inputs, outputs):
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


def network():
    model = nn.Sequential(block(3, 8), block(8, 16), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, OUTPUTS)).double()
    hash_init(model, 500)
    for i in (0, 1):
        norm = model[i][1]
        n = norm.num_features
        norm.running_mean.copy_(torch.from_numpy(hash_uniform(n, 600 + i) * .4 - .2).float())
        norm.running_var.copy_(torch.from_numpy(hash_uniform(n, 700 + i) + .5).float())
    return model.eval()


def grad_cam(model, x, layer, label):
    kept = {}
    hook = model[layer].register_forward_hook(lambda module, given, output: kept.update(A=output))
    y = model(x)
    hook.remove()
    dA, = torch.autograd.grad(y[0, label], kept['A'])
    weights = dA.mean((2, 3), keepdim=True)
    return torch.relu((weights * kept['A']).sum(1))[0], y


def make():
    model = network()
    pixels = torch.from_numpy(hash_uniform(3 * SIZE * SIZE, 70)).double().mul(256).floor().view(1, 3, SIZE, SIZE)
    mean, std = [torch.tensor(values).double().view(1, 3, 1, 1) for values in (MEAN, STD)]
    x = (pixels / 255 - mean) / std
    maps = []
    for layer in (0, 1):
        for label in range(OUTPUTS):
            cam, y = grad_cam(model, x, layer, label)
            maps.append({'layer': layer, 'label': label, 'map': cam.detach().tolist()})
    return {'what': __doc__.split('\n')[0], 'mean': MEAN, 'std': STD, 'outputs': y[0].detach().tolist(), 'maps': maps}


if __name__ == '__main__':
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'grad_cam.json')
    with open(path, 'w') as file:
        json.dump(make(), file)
        file.write('\n')
