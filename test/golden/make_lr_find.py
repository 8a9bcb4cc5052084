"""Writes lr_find.json: what fastai's suggestion methods find on curves of a polynomial and noise.

    apt-get install python3-numpy && python3 test/golden/make_lr_find.py

Curve number s: u = hash_uniform(4, 500 + s), n = floor(16 + 80 u0) points, x = i / n, noise = hash_uniform(n, s) - 0.5;
loss = 7 - (1 + 4 u1) x + (1 + 9 u2) x^4 + [0, .01, .1, 1][s % 4] noise, rounded to f32. The methods are written out from
fastai callback/schedule.py; all but slide give an index of the curve, slide the one that its learning rate has.
"""
import json
import os

import numpy as np


def hash_uniform(n, seed):
    """n values in [0,1), rounded to f32: lowbias32 of (index + seed * 0x9E3779B9) over 2^32."""
    x = (np.arange(n, dtype=np.uint64) + np.uint64(seed) * np.uint64(0x9E3779B9)) & np.uint64(0xFFFFFFFF)
    x = x.astype(np.uint32)
    x ^= x >> np.uint32(16); x = (x * np.uint32(0x7FEB352D)).astype(np.uint32)
    x ^= x >> np.uint32(15); x = (x * np.uint32(0x846CA68B)).astype(np.uint32)
    x ^= x >> np.uint32(16)
    return (x.astype(np.float64) / 2**32).astype(np.float32).astype(np.float64)


def curve(s):
    u = hash_uniform(4, 500 + s)
    n = int(16 + 80 * u[0])
    x = np.arange(n) / n
    noise = hash_uniform(n, s) - .5
    return (7 - (1 + 4 * u[1]) * x + (1 + 9 * u[2]) * (x * x * x * x) + [0, .01, .1, 1][s % 4] * noise).astype(np.float32)


def valley(losses):
    n = len(losses)
    start = end = 0
    lengths = [1] * n
    for i in range(1, n):
        for j in range(i):
            if losses[i] < losses[j] and lengths[i] < lengths[j] + 1:
                lengths[i] = lengths[j] + 1
            if lengths[end] < lengths[i]:
                end = i
                start = end - lengths[end]
    sections = (end - start) / 3
    return (start + int(sections) + int(sections / 2)) % n


def slide(losses):
    gradient = np.gradient(losses)
    right, left = -1, -16
    index = left
    while left >= -len(losses) and abs(gradient[right] - gradient[left]) > .005:
        index = left
        right, left = right - 1, left - 1
    return len(losses) + index


def row(s):
    losses = curve(s)
    return [s, valley(losses), slide(losses), int(losses.argmin()), int(np.diff(losses).argmin())]


path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'lr_find.json')
with open(path, 'w') as file:
    header = {'script': 'test/golden/make_lr_find.py', 'numpy': np.__version__, 'columns': 'curve, valley, slide, minimum, steep'}
    file.write('{"header":%s,\n "cases":%s}\n' % (json.dumps(header), json.dumps([row(s) for s in range(60)])))
