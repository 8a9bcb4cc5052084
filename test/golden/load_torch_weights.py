"""Loads weights that the library wrote into timm's and torchvision's networks, and compares logits with its own.

    env/bin/python test/golden/load_torch_weights.py FOLDER       (env as in make_resnets.py)

FOLDER is what `WEIGHTS_OUT=FOLDER npx vitest run test/nn/resnet.test.ts` leaves there: for each network NAME.safetensors and
NAME.json, the logits in evaluation of the input of make_resnets.py. Fails unless every file loads strictly, unrenamed, by
safetensors' own reader, and the logits agree to 1e-4.
"""
import json
import os
import sys

import timm
import torch
import torchvision
from safetensors.torch import load_file

from make_recipe_ops import operand
from make_resnets import OUTPUTS, SEED, SHAPE

for name in ('resnet18', 'resnet50', 'resnet18d', 'resnet50d'):
    make = getattr(torchvision.models, name, None)
    model = make(num_classes=OUTPUTS) if make else timm.create_model(name, num_classes=OUTPUTS)
    print(name, model.load_state_dict(load_file(os.path.join(sys.argv[1], f'{name}.safetensors')), strict=True))
    with open(os.path.join(sys.argv[1], f'{name}.json')) as file:
        here = torch.tensor(json.load(file))
    with torch.no_grad():
        there = model.eval()(operand(SHAPE, SEED, -2, 2).float()).flatten()
    wrong = ((here - there).norm() / there.norm()).item()
    print(f'  {wrong:.1e} of the norm of the logits differs')
    assert wrong < 1e-4
