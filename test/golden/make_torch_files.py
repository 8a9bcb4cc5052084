"""Writes torch_files.json: small files of torch.save, in base64, as the reader of `.pth` files meets them.

    apt-get install python3-torch && python3 test/golden/make_torch_files.py

The network is the one of make_safetensors.py; the j-th floating-point tensor of its state is 2 * hash_uniform(n, j) - 1.
"""
import base64
import collections
import io
import json
import os
import sys
import types

import numpy as np
import torch

from make_safetensors import hash_uniform, network


def state():
    model = network()
    j = 0
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.from_numpy((2 * hash_uniform(value.numel(), j) - 1)).float().view_as(value))
            j += 1
    return model, model.state_dict()


def fastai_list(items):
    """A list of fastcore, which pickles as an instance of fastcore.foundation.L with its items as attribute."""
    module = types.ModuleType('fastcore.foundation')
    module.L = type('L', (), {'__module__': 'fastcore.foundation', '__qualname__': 'L'})
    sys.modules.update({'fastcore': types.ModuleType('fastcore'), 'fastcore.foundation': module})
    made = module.L()
    made.items = items
    return made


class Evil:
    def __reduce__(self):
        return os.system, ('echo executed',)


def saved(value, **options):
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return base64.b64encode(buffer.getvalue()).decode()


def make():
    model, weights = state()
    line = torch.arange(24, dtype=torch.float32)
    odd = {
        'half': torch.tensor([[1., -2.], [.1, 65504.]]).half(),
        'bfloat16': torch.tensor([1., -2.5, 3.140625]).bfloat16(),
        'transposed': line[:6].view(2, 3).t(),
        'middle': line[5:17].view(3, 4)[:, 1:3],
        'parameter': torch.nn.Parameter(torch.tensor([.25, .5])),
        'scalar': torch.tensor(7.),
        'empty': torch.zeros(0, 3),
        'counter': torch.tensor(3),
    }
    files = {
        'state': saved(weights),
        'state, protocol 4': saved(weights, pickle_protocol=4),
        'fastai': saved({'model': weights, 'opt': {'hypers': [{'lr': 1e-3, 'mom': .9}], 'state': []}}),
        # As Learner.save writes it: after a one-cycle fit the hyperparameters are numbers of NumPy.
        'fastai with optimizer': saved({'model': weights, 'opt': {
            'state': [{'grad_avg': torch.zeros(2), 'step': 3}],
            'hypers': fastai_list([{'lr': np.float64(1e-3), 'mom': np.float64(.9), 'eps': 1e-5}])}}),
        'lightning': saved({'epoch': 3, 'state_dict': collections.OrderedDict(('module.' + k, v) for k, v in weights.items())}),
        'odd': saved(odd),
        **{f'legacy, protocol {n}': saved(weights, _use_new_zipfile_serialization=False, pickle_protocol=n) for n in (2, 3, 4, 5)},
        'whole model': saved(model),
        'evil': saved({'model': weights, 'extra': Evil()}),
        'other types': saved({'double': torch.tensor([.1, -1e300, 2.]).double(), 'mask': torch.tensor([True, False]),
                              'bytes': torch.arange(3).byte(), 'index': torch.arange(3).int(), 'short': torch.arange(3).short(),
                              'char': torch.arange(3).char()}),
        'checkpoint': saved({'model': weights, 'best_loss': torch.tensor(.5), 'rng': torch.arange(9).byte(),
                             'optimizer': {'state': {0: {'step': torch.tensor(3.)}}}}),
        'no weights': saved({'epoch': 3}),
    }
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'torch_files.json')
    with open(path, 'w') as file:
        json.dump({'script': 'test/golden/make_torch_files.py', 'torch': torch.__version__, 'files': files}, file, indent=1)
        file.write('\n')


if __name__ == '__main__':
    make()
