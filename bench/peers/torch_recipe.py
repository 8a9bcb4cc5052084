"""`npm run recipe -- --leaderboard` in PyTorch: the same images, split, crops, flips, network, loss, optimizer and schedule.

    python3 bench/peers/torch_recipe.py DATA [--seeds 0,1,2] [--size 128] [--epochs 5] [--limit N] [--device cuda] [--json FILE]

Needs torch, Pillow and numpy, and a system that can fork. The order of the images, crops, flips and initial weights are drawn
by another generator. Mixed precision on a GPU (--fp32 for single), float32 on a processor. Behaviour of fastai:
nbs/examples/train_imagenette.py (the recipe), vision/augment.py (RandomResizedCrop, FlipItem), vision/models/xresnet.py,
layers.py (ResBlock, LabelSmoothing), optimizer.py (RAdam, Lookahead), callback/schedule.py (fit_flat_cos); of kornia:
MaxBlurPool2d.
"""
import argparse
import json
import math
import mmap
import multiprocessing
import os
import platform
import random
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import nn

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MIN_SCALE, RATIO, VALID_EXTRA = 0.35, (3 / 4, 4 / 3), 0.14
BILINEAR, MIRROR = getattr(Image, 'Resampling', Image).BILINEAR, getattr(Image, 'Transpose', Image).FLIP_LEFT_RIGHT


# The images. What the processes need is here before they are forked: they share it.
pictures = []  # whole images, uint8 [H, W, 3]
batches = {}  # 'train', 'valid': uint8 [N, size, size, 3] in memory that all processes write to


def decode(path):
    with Image.open(path) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert('RGB'))


def shared(shape):
    return np.frombuffer(mmap.mmap(-1, max(1, math.prod(shape))), np.uint8, math.prod(shape)).reshape(shape)


def random_box(draw, width, height):
    """left, top, width, height of a box of random area, shape and place; after ten tries the largest in the middle."""
    for _ in range(10):
        area = draw.uniform(MIN_SCALE, 1) * width * height
        shape = math.exp(draw.uniform(math.log(RATIO[0]), math.log(RATIO[1])))
        w, h = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
        if 1 <= w <= width and 1 <= h <= height:
            top = draw.randint(0, height - h)
            return draw.randint(0, width - w), top, w, h
    w, h = width, height
    if width / height < RATIO[0]:
        h = int(width / RATIO[0])
    elif width / height > RATIO[1]:
        w = int(height * RATIO[1])
    return (width - w) // 2, (height - h) // 2, w, h


def train_image(image, draw, size):
    """The flip comes before the crop, as in fastai, where its order is lower."""
    if draw.random() < 0.5:
        image = image.transpose(MIRROR)
    left, top, w, h = random_box(draw, *image.size)
    return image.crop((left, top, left + w, top + h)).resize((size, size), BILINEAR)


def valid_image(image, size):
    """The middle of the whole image, squished to a multiple of 8 pixels more."""
    extra = math.ceil(size * VALID_EXTRA / 8) * 8
    at = extra // 2
    return image.resize((size + extra, size + extra), BILINEAR).crop((at, at, at + size, at + size))


def fill(job):
    split, first, items, stream = job
    target = batches[split]
    size = target.shape[1]
    for at, item in enumerate(items, first):
        image = Image.fromarray(pictures[item])
        target[at] = train_image(image, random.Random(f'{stream} {item}'), size) if split == 'train' else valid_image(image, size)
    return first, first + len(items)


# The network, with the names of fastai's weights.
def conv_layer(inputs, outputs, window=3, stride=1, act=True, zero=False):
    norm = nn.BatchNorm2d(outputs)
    nn.init.constant_(norm.weight, 0 if zero else 1)
    conv = nn.Conv2d(inputs, outputs, window, stride, window // 2, bias=False)
    return nn.Sequential(conv, norm, *([nn.Mish()] if act else []))


class MaxBlurPool(nn.Module):
    def __init__(self):
        super().__init__()
        k = torch.tensor([1.0, 2, 1]) / 4
        self.register_buffer('kernel', torch.outer(k, k)[None, None], persistent=False)

    def forward(self, x):
        channels = x.shape[1]
        return F.conv2d(F.max_pool2d(x, 2, 1), self.kernel.expand(channels, 1, 3, 3), stride=2, padding=1, groups=channels)


class ResBlock(nn.Module):
    def __init__(self, expansion, inputs, width, stride):
        super().__init__()
        outputs = width * expansion
        if expansion == 1:
            path = [conv_layer(inputs, width, 3, stride), conv_layer(width, outputs, act=False, zero=True)]
        else:
            path = [conv_layer(inputs, width, 1), conv_layer(width, width, 3, stride), conv_layer(width, outputs, 1, act=False, zero=True)]
        pool = [nn.AvgPool2d(stride, ceil_mode=True)] if stride > 1 else []
        self.convpath = nn.Sequential(*path)
        self.idpath = nn.Sequential(*pool, *([conv_layer(inputs, outputs, 1, act=False)] if inputs != outputs else []))
        self.act = nn.Mish()

    def forward(self, x):
        return self.act(self.convpath(x) + self.idpath(x))


MODELS = {'xresnet18': (1, (2, 2, 2, 2)), 'xresnet34': (1, (3, 4, 6, 3)), 'xresnet50': (4, (3, 4, 6, 3))}


def xresnet(name, outputs):
    expansion, blocks = MODELS[name]
    stem = [conv_layer(3, 32, stride=2), conv_layer(32, 32), conv_layer(32, 64)]
    stages, inputs = [], 64
    for i, (count, width) in enumerate(zip(blocks, (64, 128, 256, 512))):
        stage = []
        for j in range(count):
            stage.append(ResBlock(expansion, inputs, width, 2 if i > 0 and j == 0 else 1))
            inputs = width * expansion
        stages.append(nn.Sequential(*stage))
    model = nn.Sequential(*stem, MaxBlurPool(), *stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.0), nn.Linear(inputs, outputs))
    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight)
        if getattr(layer, 'bias', None) is not None:
            nn.init.zeros_(layer.bias)
    return model


class Ranger(torch.optim.Optimizer):
    """fastai's: RAdam with decoupled weight decay, not of norms and biases, and epsilon beside the root; Lookahead around it."""

    def __init__(self, parameters, lr, momentum=0.95, square_momentum=0.99, eps=1e-6, weight_decay=1e-2, k=6, alpha=0.5):
        parameters = list(parameters)
        groups = [dict(params=[p for p in parameters if (p.dim() > 1) == decays], weight_decay=weight_decay * decays) for decays in (True, False)]
        super().__init__(groups, dict(lr=lr))
        self.settings = momentum, square_momentum, eps, k, alpha
        self.t, self.kept = 0, None

    @torch.no_grad()
    def step(self):
        momentum, square_momentum, eps, k, alpha = self.settings
        if self.kept is None:
            zeros = lambda group: [torch.zeros_like(p) for p in group['params']]
            self.kept = [(zeros(group), zeros(group), [p.clone() for p in group['params']]) for group in self.param_groups]
        self.t += 1
        t = self.t
        debias, square_debias = 1 - momentum**t, 1 - square_momentum**t
        last = 2 / (1 - square_momentum) - 1
        r = last - 2 * t * square_momentum**t / square_debias
        for group, (average, square, slow) in zip(self.param_groups, self.kept):
            values, lr = group['params'], group['lr']
            grads = [p.grad for p in values]
            if group['weight_decay']:
                torch._foreach_mul_(values, 1 - lr * group['weight_decay'])
            torch._foreach_mul_(average, momentum)
            torch._foreach_add_(average, grads, alpha=1 - momentum)
            torch._foreach_mul_(square, square_momentum)
            torch._foreach_addcmul_(square, grads, grads, value=1 - square_momentum)
            if r > 5:
                rectified = math.sqrt((r - 4) * (r - 2) * last / ((last - 4) * (last - 2) * r))
                below = torch._foreach_sqrt(torch._foreach_div(square, square_debias))
                torch._foreach_add_(below, eps)
                torch._foreach_addcdiv_(values, average, below, value=-lr * rectified / debias)
            else:
                torch._foreach_add_(values, average, alpha=-lr / debias)
            if t % k == 0:
                torch._foreach_add_(slow, torch._foreach_sub(values, slow), alpha=alpha)
                for p, s in zip(values, slow):
                    p.copy_(s)


def flat_cos(at, highest, start=0.75, final=1e5):
    if at < start:
        return highest
    return highest + (1 + math.cos(math.pi * (1 - (at - start) / (1 - start)))) * (highest / final - highest) / 2


def train(given, seed, pool, items, labels, outputs, device, mixed):
    """One run. Returns a row for each epoch."""
    torch.manual_seed(seed)
    model = xresnet(given.model, outputs).to(device, memory_format=torch.channels_last)
    ranger = Ranger(model.parameters(), given.lr)
    scaler = torch.amp.GradScaler('cuda') if mixed else None
    mean, std = (torch.tensor(numbers, device=device).view(1, 3, 1, 1) for numbers in (MEAN, STD))
    size, epochs = given.batch_size, given.epochs
    count = len(items['train']) // size
    valid, valid_labels = torch.from_numpy(batches['valid']), torch.tensor([labels[i] for i in items['valid']])

    def predict(pixels):
        # [N, H, W, 3] is channels_last already.
        x = (pixels.to(device).permute(0, 3, 1, 2).float() / 255 - mean) / std
        with torch.autocast(device.type, torch.float16 if mixed else torch.bfloat16, enabled=mixed):
            return model(x).float()

    rows, smooth, steps = [], torch.zeros((), device=device), 0
    for epoch in range(epochs):
        began = time.time()
        order = random.Random(f'{seed} {epoch}').sample(items['train'], count * size)
        jobs = [('train', i * size, order[i * size:(i + 1) * size], f'{seed} {epoch}') for i in range(count)]
        model.train()
        for first, end in pool.imap(fill, jobs):
            for group in ranger.param_groups:
                group['lr'] = flat_cos(steps / (epochs * count), given.lr)
            y = torch.tensor([labels[i] for i in order[first:end]], device=device)
            loss = F.cross_entropy(predict(torch.from_numpy(batches['train'][first:end])), y, label_smoothing=0.1)
            ranger.zero_grad(set_to_none=True)
            if scaler is None:
                loss.backward()
                ranger.step()
            else:
                scaler.scale(loss).backward()
                scaler.step(ranger)
                scaler.update()
            smooth, steps = smooth * 0.98 + loss.detach() * 0.02, steps + 1
        model.eval()
        with torch.no_grad():
            logits = torch.cat([predict(part) for part in valid.split(size)]).cpu()
        right = logits.topk(min(5, outputs)).indices == valid_labels[:, None]
        rows.append({
            'epoch': epoch,
            'trainLoss': smooth.item() / (1 - 0.98**steps),
            'validLoss': F.cross_entropy(logits, valid_labels, label_smoothing=0.1).item(),
            'accuracy': right[:, 0].float().mean().item(),
            'topK5': right.any(1).float().mean().item(),
            'seconds': time.time() - began,
        })
        print('{epoch}  {trainLoss:.6f}  {validLoss:.6f}  {accuracy:.6f}  {topK5:.6f}  {seconds:.1f} s'.format(**rows[-1]), flush=True)
    if scaler is not None:
        print(f'{steps - ranger.t} of {steps} steps skipped', flush=True)
    return rows


def read_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('data', type=Path, help='class folders below train/ and val/')
    for name, value in dict(size=128, epochs=5, batch_size=64).items():
        parser.add_argument('--' + name.replace('_', '-'), type=int, default=value)
    parser.add_argument('--lr', type=float, default=8e-3)
    parser.add_argument('--model', choices=list(MODELS), default='xresnet50')
    parser.add_argument('--seeds', default='0')
    parser.add_argument('--limit', type=int, help='images, chosen at random, to try it')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--workers', type=int, default=os.cpu_count())
    parser.add_argument('--fp32', action='store_true')
    parser.add_argument('--json', type=Path)
    return parser.parse_args()


def main():
    given = read_options()
    names = sorted(d.name for d in (given.data / 'train').iterdir() if d.is_dir())
    files = [f for split in ('train', 'val') for name in names for f in sorted((given.data / split / name).iterdir())]
    if given.limit is not None and given.limit < len(files):
        files = sorted(random.Random(0).sample(files, given.limit))
    labels = [names.index(f.parent.name) for f in files]
    items = {split: [i for i, f in enumerate(files) if f.parent.parent.name == folder] for split, folder in (('train', 'train'), ('valid', 'val'))}
    if len(items['train']) < given.batch_size or not items['valid']:
        raise SystemExit(f'{given.data}: {len(items["train"])} images to train on and {len(items["valid"])} to measure on; '
                         f'a batch of {given.batch_size} and one are needed')
    for split, those in items.items():
        batches[split] = shared((len(those), given.size, given.size, 3))

    # CUDA starts after the processes are forked: it cannot be shared with them.
    began, processes = time.time(), multiprocessing.get_context('fork')
    with processes.Pool(given.workers) as pool:
        pictures.extend(pool.imap(decode, files, 32))
    sizes = {picture.shape[:2] for picture in pictures}
    print(f'{len(items["train"])} images to train on, {len(items["valid"])} to measure on, of {len(sizes)} size{"s" * (len(sizes) > 1)}: '
          f'decoded in {time.time() - began:.1f} s', flush=True)
    with processes.Pool(given.workers) as pool:
        those = items['valid']
        for _ in pool.imap_unordered(fill, [('valid', i, those[i:i + 64], '') for i in range(0, len(those), 64)]):
            pass
        device = torch.device(given.device)
        mixed = device.type == 'cuda' and not given.fp32
        torch.backends.cudnn.benchmark = True
        adapter = torch.cuda.get_device_name(device) if device.type == 'cuda' else platform.processor() or platform.machine()
        print(f'PyTorch {torch.__version__}, {adapter}, {"mixed" if mixed else "single"} precision', flush=True)
        runs = []
        for seed in map(int, given.seeds.split(',')):
            print(f'\nseed {seed}\nepoch  train_loss  valid_loss  accuracy  top5', flush=True)
            runs.append({'seed': seed, 'rows': train(given, seed, pool, items, labels, len(names), device, mixed)})
            if given.json:
                options = {name: str(value) if isinstance(value, Path) else value for name, value in vars(given).items()}
                result = {'adapter': adapter, 'torch': torch.__version__, 'mixed': mixed, 'options': options,
                          'images': {split: len(those) for split, those in items.items()}, 'runs': runs}
                given.json.write_text(json.dumps(result, indent=2) + '\n')
    last = [run['rows'][-1]['accuracy'] for run in runs]
    print(f'\naccuracy {sum(last) / len(last):.4f}   ' + ' '.join(f'{accuracy:.4f}' for accuracy in last))


if __name__ == '__main__':
    main()
