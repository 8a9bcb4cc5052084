"""Writes bmp.json: bitmaps of every kind, in base64, and the RGB pixels that Pillow reads from them (those that went in
of 565 bits, other masks and runs of 4 bits, which it reads otherwise or not at all).

    apt-get install python3-pil python3-numpy && python3 test/golden/make_bmp.py

Pillow writes those that it can; the headers of the others are written here. The image is 11 x 7 pixels of hash_uniform.
"""
import base64
import io
import json
import os
import struct

import numpy as np
import PIL
from PIL import Image

from make_safetensors import hash_uniform

W, H = 11, 7
rgb = (hash_uniform(W * H * 3, 1) * 256).astype(np.uint8).reshape(H, W, 3)
index = (hash_uniform(W * H, 2) * 16).astype(np.uint8).reshape(H, W)
index[2], index[4, 3:] = 5, 9
palette = (hash_uniform(16 * 3, 3) * 256).astype(np.uint8).reshape(16, 3)


def saved(image):
    buffer = io.BytesIO()
    image.save(buffer, 'BMP')
    return buffer.getvalue()


def bmp(bits, data, compression=0, masks=b'', colors=b'', height=H, header=40):
    info = struct.pack('<IiiHHIIiiII', header, W, height, 1, bits, compression, len(data), 2835, 2835, len(colors) // 4, 0)
    if header == 12:
        info = struct.pack('<IHHHH', 12, W, height, 1, bits)
    head = info + masks + colors
    return b'BM' + struct.pack('<IHHI', 14 + len(head) + len(data), 0, 0, 14 + len(head)) + head + data


def rows(values, bits):
    """Rows from below, padded to four bytes."""
    lines = []
    for row in values[::-1]:
        line = row.tobytes()
        lines.append(line + bytes(-len(line) % 4))
    return b''.join(lines)


def quads(entry=4):
    return b''.join(bytes([b, g, r]) + bytes(entry - 3) for r, g, b in palette.tolist())


def rle(bits):
    out = b''
    for row in index[::-1]:
        at = 0
        while at < W:
            run = 1
            while at + run < W and row[at + run] == row[at]:
                run += 1
            if run >= 3 or W - at < 4:
                value = int(row[at])
                out += bytes([run, value if bits == 8 else value * 17])
                at += run
            else:
                n = min(5, W - at)
                part = row[at:at + n].tolist()
                packed = bytes(part) if bits == 8 else bytes((part + [0])[i] * 16 + (part + [0])[i + 1] for i in range(0, n, 2))
                out += bytes([0, n]) + packed + bytes(len(packed) % 2)
                at += n
        out += b'\0\0'
    return out + b'\0\1'


p = np.asarray(rgb, np.uint32)
v555 = ((p[..., 0] >> 3) << 10 | (p[..., 1] >> 3) << 5 | p[..., 2] >> 3).astype('<u2')
v565 = ((p[..., 0] >> 3) << 11 | (p[..., 1] >> 2) << 5 | p[..., 2] >> 3).astype('<u2')
v888 = (p[..., 0] << 16 | p[..., 1] << 8 | p[..., 2] | 0x7f000000).astype('<u4')
swapped = (p[..., 2] << 16 | p[..., 1] << 8 | p[..., 0]).astype('<u4')
nibbles = np.pad(index, ((0, 0), (0, 1)))
nibbles = (nibbles[:, ::2] << 4 | nibbles[:, 1::2]).astype(np.uint8)
masks565 = struct.pack('<III', 0xf800, 0x7e0, 0x1f)

files = {
    '1 bit': saved(Image.fromarray(rgb).convert('1')),
    'grey': saved(Image.fromarray(rgb).convert('L')),
    '8 bits': saved(Image.fromarray(rgb).convert('P')),
    '24 bits': saved(Image.fromarray(rgb)),
    '24 bits, top down': bmp(24, rows(np.ascontiguousarray(rgb[::-1, :, ::-1]), 24), height=-H),
    '24 bits of OS/2': bmp(24, rows(np.ascontiguousarray(rgb[..., ::-1]), 24), header=12),
    '4 bits': bmp(4, rows(nibbles, 4), colors=quads()),
    '4 bits of OS/2': bmp(4, rows(nibbles, 4), colors=quads(3), header=12),
    '16 bits': bmp(16, rows(v555, 16)),
    '16 bits, 565': bmp(16, rows(v565, 16), 3, masks565),
    '32 bits': bmp(32, rows(v888, 32)),
    '32 bits, red last': bmp(32, rows(swapped, 32), 3, struct.pack('<III', 0xff, 0xff00, 0xff0000)),
    'runs of 8 bits': bmp(8, rle(8), 1, colors=quads()),
    'runs of 4 bits': bmp(4, rle(4), 2, colors=quads()),
}


def expected(name, data):
    if name == '16 bits, 565':
        return np.stack([(p[..., 0] >> 3) * 255 // 31, (p[..., 1] >> 2) * 255 // 63, (p[..., 2] >> 3) * 255 // 31], -1).astype(np.uint8)
    if name == '32 bits, red last':
        return rgb
    if name == 'runs of 4 bits':
        return palette[index]
    return np.asarray(Image.open(io.BytesIO(data)).convert('RGB'))


cases = [{'name': name, 'file': base64.b64encode(data).decode(), 'rgb': base64.b64encode(expected(name, data).tobytes()).decode()}
         for name, data in files.items()]
for case in cases:
    if 'runs' in case['name'] or case['name'].startswith('4 bits'):
        assert base64.b64decode(case['rgb']) == palette[index].tobytes(), case['name']
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'bmp.json'), 'w') as file:
    json.dump({'script': 'test/golden/make_bmp.py', 'pillow': PIL.__version__, 'width': W, 'height': H, 'cases': cases}, file, indent=1)
    file.write('\n')
