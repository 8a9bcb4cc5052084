"""Writes resize.json: what Pillow's bilinear resize and fastai's Resize make of images from a hash.

    apt-get install python3-pil python3-numpy && python3 test/golden/make_resize.py

Image number s of w x h is floor(256 * hash_uniform(w * h * 3, s)), RGB row by row. Every result is stored as the
CRC-32 and the sum of its RGB bytes and its first eight bytes; small ones as all their bytes.
fastai's Resize is written out here from its published behaviour: crop box, reflection padding, then Pillow.
"""
import json
import os
import zlib

import numpy as np
import PIL
from PIL import Image


def hash_uniform(n, seed):
    """n float64 values in [0,1): lowbias32 of (index + seed * 0x9E3779B9) over 2^32."""
    x = (np.arange(n, dtype=np.uint64) + np.uint64(seed) * np.uint64(0x9E3779B9)) & np.uint64(0xFFFFFFFF)
    x = x.astype(np.uint32)
    x ^= x >> np.uint32(16); x = (x * np.uint32(0x7FEB352D)).astype(np.uint32)
    x ^= x >> np.uint32(15); x = (x * np.uint32(0x846CA68B)).astype(np.uint32)
    x ^= x >> np.uint32(16)
    return x.astype(np.float64) / 2**32


def picture(width, height, seed):
    return np.floor(hash_uniform(width * height * 3, seed) * 256).astype(np.uint8).reshape(height, width, 3)


def fastai_resize(pixels, width, height, method, position):
    h, w = pixels.shape[:2]
    if method == 'squish':
        return Image.fromarray(pixels).resize((width, height), Image.BILINEAR)
    pick = max if method == 'pad' else min
    m = pick(w / width, h / height)
    bw, bh = int(m * width), int(m * height)
    left, top = int(position[0] * (w - bw)), int(position[1] * (h - bh))
    x, y = max(left, 0), max(top, 0)
    kept = pixels[y:min(top + bh, h), x:min(left + bw, w)]
    before = (max(-top, 0), max(-left, 0))
    after = (bh - kept.shape[0] - before[0], bw - kept.shape[1] - before[1])
    padded = np.pad(kept, ((before[0], after[0]), (before[1], after[1]), (0, 0)), 'reflect')
    return Image.fromarray(padded).resize((width, height), Image.BILINEAR)


cases = []


def case(w, h, width, height, method='squish', position=(.5, .5)):
    seed = len(cases)
    data = np.asarray(fastai_resize(picture(w, h, seed), width, height, method, position)).tobytes()
    entry = {'source': [w, h], 'target': [width, height], 'method': method, 'position': position, 'seed': seed,
             'crc': zlib.crc32(data), 'sum': sum(data)}
    entry['all' if len(data) <= 150 else 'first'] = list(data if len(data) <= 150 else data[:8])
    cases.append(entry)


# Pillow alone: shrinking, enlarging, one axis only, prime sizes, one pixel, large ratios.
for w, h, width, height in [(8, 5, 4, 5), (8, 5, 3, 7), (5, 8, 5, 4), (5, 7, 5, 7), (1, 1, 4, 3), (1, 9, 3, 2), (9, 1, 2, 3),
                            (7, 13, 31, 17), (31, 17, 7, 13), (64, 48, 32, 24), (100, 80, 99, 81), (101, 67, 224, 224),
                            (224, 224, 224, 224), (224, 100, 224, 50), (100, 224, 50, 224), (225, 223, 224, 224),
                            (333, 250, 64, 48), (640, 3, 10, 3), (3, 640, 3, 10), (1000, 16, 7, 5), (16, 1000, 160, 999)]:
    case(w, h, width, height)
# fastai's crop: the double rounding (61, 115, 122, 230, 453), both orientations, both extremes and the centre.
for i, (w, h) in enumerate([(500, 375), (375, 500), (100, 80), (80, 100), (453, 600), (600, 453), (61, 90), (122, 115),
                            (230, 231), (256, 256), (224, 300), (300, 224), (224, 224), (33, 500)]):
    size = (224, 224) if i % 3 else (160, 128)
    case(w, h, *size, 'crop', [(.5, .5), (0, 0), (.999, .25), (.137, .861)][i % 4])
# fastai's pad, up to a border just smaller than the image.
for i, (w, h) in enumerate([(50, 37), (37, 50), (61, 40), (40, 61), (30, 30), (30, 15), (16, 29)]):
    case(w, h, 24, 24 if i % 2 else 32, 'pad', [(.5, .5), (.2, .9)][i % 2])

path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'resize.json')
with open(path, 'w') as file:
    header = {'script': 'test/golden/make_resize.py', 'pillow': PIL.__version__, 'numpy': np.__version__}
    lines = ',\n  '.join(json.dumps(c, separators=(',', ':')) for c in cases)
    file.write('{"header":%s,\n "cases":[\n  %s\n]}\n' % (json.dumps(header), lines))
