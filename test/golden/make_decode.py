"""Writes decode.json: small image files of every kind, and the RGB pixels that Pillow makes of them.

    apt-get install python3-pil python3-numpy libjpeg-turbo-progs && python3 test/golden/make_decode.py

Files and pixels are base64. Pillow writes the JPEGs that it can and cjpeg the others; it cannot write most PNG kinds,
so a small writer is here. 16-bit grey is the one kind where the pixels are not Pillow's: it clips such values at 255
on conversion, we keep the upper byte, as it does for 16-bit RGB.
"""
import base64
import io
import json
import os
import struct
import subprocess
import zlib

import numpy as np
import PIL
from PIL import Image, ImageOps, features

W, H = 29, 23
y, x = np.mgrid[0:H, 0:W]
# Colours as soft as in most of a photograph: libjpeg interpolates colours stored at half size, jpeg-js repeats them.
rgb = np.stack([128 + 100 * np.sin(x / 15 + y / 21), 128 + 90 * np.cos(y / 19), 128 + 80 * np.sin((x + y) / 31)], -1)
rgb = rgb.round().astype(np.uint8)
grey = rgb[..., 0]
cases, upright, others, refused = [], [], [], []


def pixels_of(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert('RGB'))


def add(name, data, pixels=None, cases=cases):
    if pixels is None:
        pixels = pixels_of(data)
    height, width = pixels.shape[:2]
    cases.append({'name': name, 'file': base64.b64encode(data).decode(), 'width': width, 'height': height,
                  'rgb': base64.b64encode(np.ascontiguousarray(pixels, np.uint8).tobytes()).decode()})


def refuse(name, data):
    refused.append({'name': name, 'file': base64.b64encode(data).decode()})


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def cjpeg(image, *options):
    return subprocess.run(['cjpeg', '-quality', '90', *options], input=saved(image, 'PPM'), capture_output=True, check=True).stdout


colour, mono = Image.fromarray(rgb), Image.fromarray(grey)
for sampling, name in enumerate(['444', '422', '420']):
    add('jpeg ' + name, saved(colour, 'JPEG', quality=90, subsampling=sampling))
    add('jpeg progressive ' + name, saved(colour, 'JPEG', quality=90, subsampling=sampling, progressive=True))
add('jpeg grey', saved(mono, 'JPEG', quality=90))
add('jpeg grey progressive', saved(mono, 'JPEG', quality=90, progressive=True))
add('jpeg grey restart', cjpeg(mono, '-restart', '5B'))
add('jpeg 420 restart', cjpeg(colour, '-restart', '3B'))
add('jpeg 440', cjpeg(colour, '-sample', '1x2'))
add('jpeg 411', cjpeg(colour, '-sample', '4x1'))
add('jpeg rgb', cjpeg(colour, '-rgb'))
cmyk = saved(colour.convert('CMYK'), 'JPEG', quality=95)
add('jpeg cmyk', cmyk)
# The Adobe segment's last byte says which transform: 2 makes the same four planes YCCK.
at = cmyk.index(b'Adobe') + 11
add('jpeg ycck', cmyk[:at] + b'\2' + cmyk[at + 1:])
exif = Image.Exif()
exif[0x0112] = 6  # orientation: to be turned by a quarter; neither Pillow's convert nor fastai turn it
add('jpeg 444 exif', saved(colour, 'JPEG', quality=90, subsampling=0, exif=exif))
refuse('jpeg arithmetic', cjpeg(colour, '-arithmetic'))
for kind, name in [('GIF', 'GIF'), ('WEBP', 'WebP'), ('BMP', 'BMP'), ('TIFF', 'TIFF')]:
    refuse(name, saved(colour, kind))


def segments(data):
    """A JPEG as a list of its segments, each with its marker; the scan's data follow its header."""
    parts, at = [data[:2]], 2
    while data[at + 1] != 0xd9:
        end = at + 2 + struct.unpack('>H', data[at + 2:at + 4])[0]
        if data[at + 1] == 0xda:
            while data[end] != 0xff or data[end + 1] == 0 or 0xd0 <= data[end + 1] <= 0xd7:
                end += 1
        parts.append(data[at:end])
        at = end
    return parts + [data[at:]]


def without(data, marker):
    return b''.join(part for part in segments(data) if part[:2] != bytes([0xff, marker]))


# Damage that other programs read through; the pixels are those of Pillow, or those before the damage where Pillow makes some up.
whole = saved(colour, 'JPEG', quality=90, subsampling=0)
add('jpeg 444 stray bytes', b''.join(part + b'\n\n\0' * (i in (1, 2, 4)) for i, part in enumerate(segments(whole))))
whole = saved(colour, 'JPEG', quality=90, subsampling=2, progressive=True)
add('jpeg progressive 420 zeros', b''.join(part + b'\0' * 3 * (part[:2] == b'\xff\xda') for part in segments(whole)))
add('jpeg 420 motion', without(saved(colour, 'JPEG', quality=90, subsampling=2), 0xc4))
add('jpeg grey motion', without(saved(mono, 'JPEG', quality=90), 0xc4))
add('jpeg cmyk no adobe', without(cmyk, 0xee))
for name, image, options in [('444', colour, ['-sample', '1x1']), ('420', colour, []), ('grey', mono, [])]:
    whole = cjpeg(image, '-restart', '1B', *options)
    lost = whole.replace(b'\xff\xd0', b'', 1)
    add('jpeg %s a restart lost' % name, lost, pixels_of(whole))
    for number in range(8):
        lost = lost.replace(bytes([0xff, 0xd0 + number]), b'')
    add('jpeg %s restarts lost' % name, lost, pixels_of(whole))
    add('jpeg %s stray before restart' % name, whole.replace(b'\xff\xd1', b'\7\7\xff\xd1', 1), pixels_of(whole))
    parts = segments(cjpeg(image, *options))
    add('jpeg %s restarts ignored' % name, b''.join(parts[:2] + [b'\xff\xdd\0\4\0\1'] + parts[2:]), pixels_of(b''.join(parts)))

# Orientation applied, as ImageOps.exif_transpose does.
for value in range(1, 9):
    exif[0x0112] = value
    data = saved(colour, 'JPEG', quality=90, subsampling=0, exif=exif)
    add('jpeg 444 orientation %d' % value, data, np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data)))), upright)
    data = saved(colour, 'PNG', exif=exif)
    add('png orientation %d' % value, data, np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data)))), upright)
    data = saved(colour, 'WEBP', lossless=True, exif=exif)
    add('webp orientation %d' % value, data, np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data)))), others)
exif[0x0112] = 6
intel = saved(colour, 'JPEG', quality=90, subsampling=0, exif=b'Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0')
add('jpeg 444 orientation little-endian', intel, np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(intel)))), upright)

# Formats that sharp reads.
add('webp', saved(colour, 'WEBP', lossless=True), cases=others)
add('webp lossy', saved(colour, 'WEBP', quality=90), cases=others)
add('webp alpha', saved(Image.merge('RGBA', (*colour.split(), mono)), 'WEBP', lossless=True, exact=True), cases=others)
palette_image = colour.quantize(16)
add('gif', saved(palette_image, 'GIF'), cases=others)
add('gif animated', saved(palette_image, 'GIF', save_all=True, append_images=[palette_image.rotate(180)]), cases=others)
add('tiff', saved(colour, 'TIFF', compression='tiff_lzw'), cases=others)
add('tiff grey', saved(mono, 'TIFF'), cases=others)
add('tiff 1 bit', saved(mono.convert('1'), 'TIFF'), cases=others)


def png(depth, colour_type, samples, interlace=False, chunks=()):
    """samples: [H, W, channels] integers of `depth` bits."""
    def chunk(name, data):
        return struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))

    def lines(part):
        out = b''
        for line in part:
            bits = ''.join(format(int(v), '0%db' % depth) for v in line.reshape(-1))
            bits += '0' * (-len(bits) % 8)
            out += b'\0' + int(bits, 2).to_bytes(len(bits) // 8, 'big')
        return out

    adam7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    parts = [samples[y0::dy, x0::dx] for x0, y0, dx, dy in adam7] if interlace else [samples]
    data = b''.join(lines(part) for part in parts if part.size)
    header = struct.pack('>IIBBBBB', samples.shape[1], samples.shape[0], depth, colour_type, 0, 0, int(interlace))
    body = b''.join(chunk(name, content) for name, content in chunks)
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + body + chunk(b'IDAT', zlib.compress(data)) + chunk(b'IEND', b'')


alpha = (255 - x * 8).clip(0, 255)[..., None]
wide = (rgb.astype(int) * 257 + 100).clip(0, 65535)
palette = bytes((np.arange(16)[:, None] * np.array([17, 5, -11]) % 256).astype(np.uint8).reshape(-1))
index = ((x + 2 * y) % 16)[..., None]
add('png rgb', saved(colour, 'PNG'))
add('png grey', saved(mono, 'PNG'))
add('png grey 1 bit', png(1, 0, ((x + y) % 2)[..., None]))
add('png grey 4 bits', png(4, 0, index))
add('png grey 16 bits', png(16, 0, wide[..., :1]), np.repeat(wide[..., :1] >> 8, 3, -1))
add('png rgb 16 bits', png(16, 2, wide))
add('png grey alpha', png(8, 4, np.concatenate([grey[..., None], alpha], -1)))
add('png rgb alpha', png(8, 6, np.concatenate([rgb, alpha], -1)))
add('png palette', png(4, 3, index, chunks=[(b'PLTE', palette)]))
add('png palette alpha', png(4, 3, index, chunks=[(b'PLTE', palette), (b'tRNS', bytes([0, 128, 255]))]))
add('png rgb transparent colour', png(8, 2, rgb, chunks=[(b'tRNS', struct.pack('>HHH', *(int(v) for v in rgb[3, 4])))]))
add('png interlaced', png(8, 2, rgb, interlace=True))

path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'decode.json')
with open(path, 'w') as file:
    header = {'script': 'test/golden/make_decode.py', 'pillow': PIL.__version__, 'libjpeg': features.version('jpg')}
    parts = [',\n  '.join(json.dumps(c, separators=(',', ':')) for c in part) for part in (cases, upright, others, refused)]
    file.write('{"header":%s,\n "cases":[\n  %s\n],\n "upright":[\n  %s\n],\n "others":[\n  %s\n],\n "refused":[\n  %s\n]}\n' % (json.dumps(header), *parts))
