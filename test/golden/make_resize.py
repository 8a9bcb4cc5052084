"""Writes resize.json: what Pillow's bilinear resize and fastai's Resize make of images from a hash.

    apt-get install python3-pil python3-numpy && python3 test/golden/make_resize.py

Image number s of w x h is floor(256 * hash_uniform(w * h * 3, s)), RGB row by row. Every result is stored as the
CRC-32 and the sum of its RGB bytes and its first eight bytes; small ones as all their bytes.
fastai's Resize, RandomResizedCrop and FlipItem are written out here from their published behaviour: mirror, crop box,
reflection padding, then Pillow. The random numbers of a crop are hash_uniform too: for each try part of the area and
shape, and once the box fits its place, top before left.
"""
import json
import math
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


def random_box(w, h, scale, ratio, draws):
    """left, top, width and height."""
    next_draw = iter(draws)
    uniform = lambda low, high: low + (high - low) * next(next_draw)
    for _ in range(10):
        area = uniform(*scale) * w * h
        shape = math.exp(uniform(math.log(ratio[0]), math.log(ratio[1])))
        nw, nh = int(round(math.sqrt(area * shape))), int(round(math.sqrt(area / shape)))
        if nw <= w and nh <= h:
            top, left = int(next(next_draw) * (h - nh + 1)), int(next(next_draw) * (w - nw + 1))
            return left, top, nw, nh
    nw, nh = (w, int(w / ratio[0])) if w / h < ratio[0] else (int(h * ratio[1]), h) if w / h > ratio[1] else (w, h)
    return (w - nw) // 2, (h - nh) // 2, nw, nh


def random_resized_crop(image, width, height, plan):
    """In training the given box, in validation the middle of the whole."""
    if plan['method'] == 'random-crop':
        left, top, w, h = plan['box']
        return image.crop((left, top, left + w, top + h)).resize((width, height), Image.BILINEAR)
    larger = image.resize((width + plan['extra'], height + plan['extra']), Image.BILINEAR)
    left, top = (larger.size[0] - width) // 2, (larger.size[1] - height) // 2
    return larger.crop((left, top, left + width, top + height))


cases = []


def case(w, h, width, height, method='squish', position=(.5, .5), mirror=False):
    plan = {'method': method, 'position': position}
    pixels = picture(w, h, len(cases))
    add(fastai_resize(pixels[:, ::-1] if mirror else pixels, width, height, method, position), w, h, width, height, plan, mirror)


def crop_case(w, h, width, height, plan, mirror=False):
    image = Image.fromarray(picture(w, h, len(cases)))
    if mirror:
        image = image.transpose(Image.FLIP_LEFT_RIGHT)
    add(random_resized_crop(image, width, height, plan), w, h, width, height, plan, mirror)


def add(image, w, h, width, height, plan, mirror):
    data = np.asarray(image).tobytes()
    entry = {'source': [w, h], 'target': [width, height], **plan, 'seed': len(cases),
             'crc': zlib.crc32(data), 'sum': sum(data)}
    if mirror:
        entry['mirror'] = True
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

# fastai's FlipItem before a crop.
for w, h, width, height, position in [(7, 5, 7, 5, (0, 0)), (100, 61, 31, 17, (.2, .7)), (300, 224, 224, 224, (.9, 0)), (61, 97, 24, 32, (.5, .3))]:
    case(w, h, width, height, 'crop', position, mirror=True)
# fastai's RandomResizedCrop: wide and narrow ranges, boxes that never fit (the middle is taken), both ways up, mirrored.
for i, (w, h, width, height, scale, ratio) in enumerate([
        (500, 375, 128, 128, (.35, 1), (3 / 4, 4 / 3)), (375, 500, 64, 96, (.08, 1), (3 / 4, 4 / 3)), (61, 40, 8, 8, (.08, .2), (3 / 4, 4 / 3)),
        (50, 30, 20, 10, (1, 1), (3 / 4, 4 / 3)), (30, 50, 20, 10, (1, 1), (3 / 4, 4 / 3)), (41, 40, 20, 10, (1, 1), (1, 1.01)),
        (47, 53, 47, 53, (1, 1), (47 / 53, 47 / 53)), (97, 101, 5, 5, (.5, .6), (.1, 10))]):
    draws = hash_uniform(22, 1000 + i).tolist()
    crop_case(w, h, width, height, {'method': 'random-crop', 'scale': scale, 'ratio': ratio, 'box': random_box(w, h, scale, ratio, draws)}, i % 2 == 1)
# In validation: ceil(max(size) * .14 / 8) * 8 pixels more.
for w, h, width, height, extra in [(300, 200, 128, 128, 24), (50, 61, 10, 20, 8), (90, 60, 64, 48, 16), (40, 30, 33, 20, 0)]:
    crop_case(w, h, width, height, {'method': 'middle', 'extra': extra}, width == 64)

path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'resize.json')
with open(path, 'w') as file:
    header = {'script': 'test/golden/make_resize.py', 'pillow': PIL.__version__, 'numpy': np.__version__}
    lines = ',\n  '.join(json.dumps(c, separators=(',', ':')) for c in cases)
    file.write('{"header":%s,\n "cases":[\n  %s\n]}\n' % (json.dumps(header), lines))
