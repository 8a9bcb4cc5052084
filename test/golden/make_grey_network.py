"""Writes grey_network.json: networks of one channel whose first filters are those of three added up, and the gradients of
torchvision's resnet18, in float64.

    apt-get install python3-torch python3-torchvision
    python3 -m venv --system-site-packages env && env/bin/pip install timm==1.0.29 safetensors --no-deps
    env/bin/python test/golden/make_grey_network.py

`grey`: timm's resnet18 and resnet18d with the numbers of resnets.json (10 outputs, three channels), whose first filters
timm's adapt_input_conv adds up over the colors, and their logits in evaluation for grey images.
`gradients`: resnet18 in training on a batch of color images, its loss the mean cross-entropy: the gradients of the input and of
every parameter, by name.
"""
import json
import os

import timm
import torch
import torchvision
from timm.models._manipulate import adapt_input_conv

from make_leaderboard_network import hash_init, stored
from make_recipe_ops import operand
from make_resnets import OUTPUTS, SEED0, hash_statistics

GREY, COLOR, TARGETS = ([2, 1, 46, 58], 1003), ([3, 3, 48, 40], 1004), [3, 0, 7]


def grey(name):
    model = timm.create_model(name, num_classes=OUTPUTS).double()
    hash_init(model, SEED0)
    hash_statistics(model)
    state = model.state_dict()
    first = next(iter(state))
    state[first] = adapt_input_conv(1, state[first])
    one = timm.create_model(name, num_classes=OUTPUTS, in_chans=1).double()
    one.load_state_dict(state)
    with torch.no_grad():
        return {'name': name, 'filters': {'name': first, **stored(state[first])}, 'logits': one.eval()(operand(*GREY, -2, 2)).tolist()}


def gradients():
    model = torchvision.models.resnet18(num_classes=OUTPUTS).double()
    hash_init(model, SEED0)
    x = operand(*COLOR, -2, 2).requires_grad_()
    loss = torch.nn.functional.cross_entropy(model.train()(x), torch.tensor(TARGETS))
    loss.backward()
    return {'name': 'resnet18', 'loss': loss.item(), 'input': stored(x.grad),
            'parameters': {k: stored(p.grad) for k, p in model.named_parameters()}}


def make():
    as_input = lambda given: {'shape': given[0], 'seed': given[1], 'lo': -2, 'hi': 2}
    golden = {'script': 'test/golden/make_grey_network.py', 'torch': torch.__version__, 'timm': timm.__version__,
              'torchvision': torchvision.__version__, 'seed0': SEED0, 'n_out': OUTPUTS, 'grey_input': as_input(GREY),
              'grey': [grey(n) for n in ('resnet18', 'resnet18d')], 'input': as_input(COLOR), 'targets': TARGETS,
              'gradients': gradients()}
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'grey_network.json')
    with open(path, 'w') as file:
        json.dump(golden, file, separators=(',', ':'))
        file.write('\n')
    print(golden['gradients']['loss'], [c['logits'][0][:3] for c in golden['grey']])


if __name__ == '__main__':
    make()
