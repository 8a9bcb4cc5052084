"""Loads weights that the library wrote into a PyTorch network, and prints what that makes of a seeded input, in eval mode.

    apt-get install python3-torch
    python3 test/golden/load_weights.py WEIGHTS MODULE NETWORK [SHAPE [SEED]]

    WEIGHTS  a file of `learner.save`, of a checkpoint or of `learner.export`
    MODULE   a Python file, such as test/golden/make_leaderboard_network.py
    NETWORK  what makes the network there, such as 'network(10)'
    SHAPE    of the input, in PyTorch's layout: 2,3,64,64
    SEED     the input is 2 * hash_uniform(n, SEED) - 1 in float32: 1

A line of JSON for each row of the logits. The optimizer's averages and waiting gradients, which such a file may hold too,
are left out; everything else has to fit, as load_state_dict(strict=True) says.
"""
import argparse
import importlib.util
import json

import numpy as np
import torch

from make_safetensors import hash_uniform, read


def network(path, call):
    spec = importlib.util.spec_from_file_location('model', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return eval(call, vars(module))


parser = argparse.ArgumentParser()
for name in ('weights', 'module', 'network'):
    parser.add_argument(name)
parser.add_argument('shape', nargs='?', default='2,3,64,64')
parser.add_argument('seed', nargs='?', default=1, type=int)
args = parser.parse_args()

tensors, _ = read(args.weights)
model = network(args.module, args.network)
model.load_state_dict({k: v for k, v in tensors.items() if not k.startswith(('optimizer.', 'gradient.'))}, strict=True)
shape = [int(n) for n in args.shape.split(',')]
x = torch.from_numpy((2 * hash_uniform(int(np.prod(shape)), args.seed) - 1).astype(np.float32).reshape(shape))
with torch.no_grad():
    for row in model.eval()(x).tolist():
        print(json.dumps(row))
