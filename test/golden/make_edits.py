"""Writes edits.json: operations of torchvision's TrivialAugmentWide as Pillow makes them, on a small image.

python3 make_edits.py, with Pillow (9.4 and later give the same); the calls are those of torchvision's
transforms/autoaugment.py, _apply_op, and of transforms/functional_pil.py.
"""
import json
import math
from PIL import Image, ImageEnhance, ImageOps, __version__

W, H = 13, 10
state = 12345


def draw():
    global state
    state = (state * 1103515245 + 12345) % 2**31
    return (state >> 16) & 255


pixels = bytes(draw() // 2 + (40 if i % 3 == 0 else 10) for i in range(W * H * 3))
image = Image.frombytes('RGB', (W, H), pixels)


def affine(matrix):
    return image.transform((W, H), Image.AFFINE, matrix, Image.NEAREST, fillcolor=0)


def made(op, by):
    if op == 'shearX':
        return affine([1, math.tan(math.atan(by)), 0, 0, 1, 0])
    if op == 'shearY':
        return affine([1, 0, 0, math.tan(math.atan(by)), 1, 0])
    if op == 'translateX':
        return affine([1, 0, -int(by), 0, 1, 0])
    if op == 'translateY':
        return affine([1, 0, 0, 0, 1, -int(by)])
    if op == 'rotate':
        return image.rotate(by, Image.NEAREST, fillcolor=0)
    if op in ('brightness', 'color', 'contrast', 'sharpness'):
        return getattr(ImageEnhance, op.capitalize())(image).enhance(1 + by)
    if op == 'posterize':
        return ImageOps.posterize(image, int(by))
    if op == 'solarize':
        return ImageOps.solarize(image, by)
    if op == 'autoContrast':
        return ImageOps.autocontrast(image)
    return ImageOps.equalize(image)


CASES = [
    *((op, by) for op in ('shearX', 'shearY') for by in (0.33, -0.99)),
    *((op, by) for op in ('translateX', 'translateY') for by in (3.2, -4.9, 32)),
    *(('rotate', by) for by in (4.5, -27, 90, 135, -135)),
    *((op, by) for op in ('brightness', 'color', 'contrast', 'sharpness') for by in (0.363, -0.66, 0.99, -0.99)),
    *(('posterize', by) for by in (8, 5, 2)),
    *(('solarize', by) for by in (255, 110.5, 0)),
    ('autoContrast', 0),
    ('equalize', 0),
]

json.dump(
    {
        'source': f'Pillow {__version__}',
        'width': W,
        'height': H,
        'pixels': pixels.hex(),
        'cases': [{'op': op, 'by': by, 'pixels': made(op, by).tobytes().hex()} for op, by in CASES],
    },
    open('edits.json', 'w'),
    indent=0,
)
