"""Writes element_losses.json: what PyTorch makes of losses of single outputs, in float64.

    apt-get install python3-torch && python3 test/golden/make_element_losses.py

The outputs are hash_uniform(N K, 1) in [-6, 6), rounded to float16; targets of the cross-entropy are hash_uniform(N K, 2) with
those below 0.4 set to 0 and those above 0.6 to 1; targets of the others hash_uniform(N K, 2) in [-6, 6). Weights of columns are
floor(8 hash_uniform(K, 3)) / 4, 0 for some, those of positives floor(8 hash_uniform(K, 4)) / 2.
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


f32 = lambda x: x.astype(np.float32).astype(np.float64)


def case(name, n, k, reduction, **options):
    outputs = f32(-6 + 12 * hash_uniform(n * k, 1)).astype(np.float16).astype(np.float64)
    x = torch.from_numpy(outputs.reshape(n, k)).requires_grad_()
    u = hash_uniform(n * k, 2)
    if name == 'cross_entropy':
        y = torch.from_numpy(f32(np.where(u < .4, 0, np.where(u > .6, 1, u))).reshape(n, k))
        weight = torch.from_numpy(np.floor(8 * hash_uniform(k, 3)) / 4) if options.get('weighted') else None
        positive = torch.from_numpy(np.floor(8 * hash_uniform(k, 4)) / 2) if options.get('positive') else None
        each = F.binary_cross_entropy_with_logits(x, y, weight=weight, pos_weight=positive, reduction='none')
        reduced = lambda r: F.binary_cross_entropy_with_logits(x, y, weight=weight, pos_weight=positive, reduction=r)
    else:
        y = torch.from_numpy(f32(-6 + 12 * u).reshape(n, k))
        f = {'squared': F.mse_loss, 'absolute': F.l1_loss, 'huber': F.huber_loss, 'smooth': F.smooth_l1_loss}[name]
        given = {'delta': options['delta']} if name == 'huber' else {'beta': options['delta']} if name == 'smooth' else {}
        each = f(x, y, reduction='none', **given)
        reduced = lambda r: f(x, y, reduction=r, **given)
    loss = each.mean(1) if reduction == 'rows' else reduced(reduction)
    loss.sum().backward()
    return {'name': name, 'N': n, 'K': k, 'reduction': reduction, **options,
            'loss': loss.reshape(-1).tolist(), 'doutputs': x.grad.reshape(-1).tolist()}


cases = [case(name, n, k, reduction, **options)
         for (n, k), reduction in [((7, 5), 'mean'), ((3, 10), 'rows'), ((9, 1), 'none'), ((5, 3), 'sum')]
         for name, options in [('cross_entropy', {}), ('cross_entropy', {'weighted': True}),
                               ('cross_entropy', {'weighted': True, 'positive': True}),
                               ('squared', {}), ('absolute', {}), ('huber', {'delta': 1}), ('huber', {'delta': 2.5}),
                               ('smooth', {'delta': 0.5})]]
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'element_losses.json')
with open(path, 'w') as file:
    header = {'script': 'test/golden/make_element_losses.py', 'torch': torch.__version__}
    lines = ',\n  '.join(json.dumps(c, separators=(',', ':')) for c in cases)
    file.write('{"header":%s,\n "cases":[\n  %s\n]}\n' % (json.dumps(header), lines))
