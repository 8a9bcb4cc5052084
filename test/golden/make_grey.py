"""Writes grey.json: colors and the grey that Pillow makes of each, as [red, green, blue, grey].

    apt-get install python3-pil && python3 test/golden/make_grey.py
"""
import json
import os
import random

import PIL
from PIL import Image

random.seed(5)
colors = [(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255), (1, 0, 0), (0, 1, 0), (0, 0, 1), (3, 1, 4)]
colors += [tuple(random.randrange(256) for _ in range(3)) for _ in range(200)]
image = Image.new('RGB', (len(colors), 1))
image.putdata(colors)
rows = [[*color, grey] for color, grey in zip(colors, image.convert('L').getdata())]
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'grey.json')
with open(path, 'w') as file:
    header = {'script': 'test/golden/make_grey.py', 'pillow': PIL.__version__}
    file.write('{"header":%s,\n "colors":%s}\n' % (json.dumps(header), json.dumps(rows, separators=(',', ':'))))
