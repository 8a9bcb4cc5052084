"""Writes weights.safetensors: a small PyTorch network, a half-precision tensor and unsigned numbers.

    apt-get install python3-torch && python3 test/golden/make_safetensors.py     makes it, and reads it back
    python3 test/golden/make_safetensors.py FILE                                 says what is in a file

The format is written and read here by struct and json alone: 8 bytes of length, the JSON header, the numbers. Names and
layouts are those of the network's state_dict. The j-th floating-point tensor of it (from 0) is 2 * hash_uniform(n, j) - 1.
"""
import json
import os
import struct
import sys

import numpy as np
import torch

BYTES = {'F32': 4, 'F16': 2, 'I64': 8, 'U32': 4}
TORCH = {'F32': torch.float32, 'F16': torch.float16, 'I64': torch.int64, 'U32': torch.int32}


def hash_uniform(n, seed):
    """n float64 values in [0,1): lowbias32 of (index + seed * 0x9E3779B9) over 2^32."""
    x = (np.arange(n, dtype=np.uint64) + np.uint64(seed) * np.uint64(0x9E3779B9)) & np.uint64(0xFFFFFFFF)
    x = x.astype(np.uint32)
    x ^= x >> np.uint32(16); x = (x * np.uint32(0x7FEB352D)).astype(np.uint32)
    x ^= x >> np.uint32(15); x = (x * np.uint32(0x846CA68B)).astype(np.uint32)
    x ^= x >> np.uint32(16)
    return x.astype(np.float64) / 2**32


def network():
    return torch.nn.Sequential(torch.nn.Conv2d(2, 3, (3, 2), bias=False), torch.nn.BatchNorm2d(3), torch.nn.Flatten(), torch.nn.Linear(12, 5))


def read(path):
    """Tensors by name, in the order of the header, and the metadata."""
    data = open(path, 'rb').read()
    start = 8 + struct.unpack('<Q', data[:8])[0]
    header = json.loads(data[8:start])
    metadata = header.pop('__metadata__', {})
    tensors = {}
    for name, t in header.items():
        begin, end = t['data_offsets']
        numbers = bytearray(data[start + begin:start + end])
        # torch.frombuffer refuses an empty one.
        flat = torch.frombuffer(numbers, dtype=TORCH[t['dtype']]) if numbers else torch.empty(0, dtype=TORCH[t['dtype']])
        tensors[name] = flat.reshape(t['shape'])
    return tensors, metadata


def write(path, tensors, metadata):
    """The widest numbers first, the header padded to a multiple of eight bytes."""
    blobs, header, end = [], {'__metadata__': metadata}, 0
    places = {}
    for name, (dtype, array) in sorted(tensors.items(), key=lambda item: -BYTES[item[1][0]]):
        blob = array.tobytes()
        places[name] = [end, end + len(blob)]
        end += len(blob)
        blobs.append(blob)
    for name, (dtype, array) in tensors.items():
        header[name] = {'dtype': dtype, 'shape': list(array.shape), 'data_offsets': places[name]}
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    open(path, 'wb').write(struct.pack('<Q', len(text)) + text + b''.join(blobs))


def show(path):
    tensors, metadata = read(path)
    print(json.dumps(metadata, indent=1))
    for name, tensor in tensors.items():
        print(name, list(tensor.shape), str(tensor.dtype), f'norm {tensor.double().norm():.6f}')


def make():
    model = network()
    state = model.state_dict()
    tensors, j = {}, 0
    for name, value in state.items():
        if value.dtype == torch.int64:
            tensors[name] = ('I64', np.array(7, dtype=np.int64))
        else:
            tensors[name] = ('F32', (2 * hash_uniform(value.numel(), j) - 1).astype(np.float32).reshape(value.shape))
            j += 1
    tensors['half'] = ('F16', torch.tensor([[1., -2., 0.1], [65504., 6e-8, float('inf')], [-0., 1e-7, 3.]]).half().numpy())
    tensors['counts'] = ('U32', np.array([0, 1, 2**32 - 1], dtype=np.uint32))
    tensors['scalar'] = ('F32', np.array(0.5, dtype=np.float32))
    tensors['empty'] = ('F32', np.zeros((0, 3), dtype=np.float32))

    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'weights.safetensors')
    write(path, tensors, {'format': 'pt', 'script': 'test/golden/make_safetensors.py', 'torch': torch.__version__, 'note': 'größer 图'})
    back, _ = read(path)
    model.load_state_dict({name: back[name] for name in state})
    assert all(torch.equal(value, torch.from_numpy(np.asarray(tensors[name][1]))) for name, value in model.state_dict().items())


if __name__ == '__main__':
    show(sys.argv[1]) if len(sys.argv) > 1 else make()
