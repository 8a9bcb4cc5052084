"""`npm run transfer` in PyTorch: the same classes, images a class, network, head, transforms, schedules and optimizer.

    python3 bench/peers/torch_transfer.py DATA [--size 64] [--epochs 10] [--then-epochs 20] [--images 30] [--seeds 0,1,2]

Needs torch, torchvision and Pillow. The images of a seed are drawn by another generator, so they are others; crops, flips and
initial weights too. Mixed precision on a GPU, float32 on a processor. Behaviour of fastai: vision/learner.py (head, groups),
callback/schedule.py (one cycle, fine_tune), optimizer.py (Adam).
"""
import argparse
import math
import random
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torchvision import models, transforms as T

given = argparse.ArgumentParser()
given.add_argument('data', type=Path)
for name, value in dict(size=64, epochs=10, then_epochs=20, images=30, classes=7).items():
    given.add_argument('--' + name.replace('_', '-'), type=int, default=value)
given.add_argument('--lr', type=float, default=3e-3)
given.add_argument('--then-lr', type=float, default=2e-3)
given.add_argument('--seeds', default='0,1,2')
given.add_argument('--limit', type=int, default=10**9, help='images a class, to try it')
given = given.parse_args()

device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
size = given.size
# fastai's RandomResizedCrop: bilinear; in validation the middle of an image that is 1.14 times as large.
train_transforms = T.Compose([T.RandomResizedCrop(size, scale=(0.35, 1)), T.RandomHorizontalFlip(), T.PILToTensor()])
valid_transforms = T.Compose([T.Resize(int(size * 1.14)), T.CenterCrop(size), T.PILToTensor()])


class Images(torch.utils.data.Dataset):
    decoded = {}

    def __init__(self, items, names, transform):
        self.items, self.names, self.transform = items, names, transform

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        path = self.items[i]
        if path not in Images.decoded:
            Images.decoded[path] = Image.open(path).convert('RGB')
        return self.transform(Images.decoded[path]), self.names.index(path.parent.name)


def loader(items, names, batch, train):
    return torch.utils.data.DataLoader(Images(items, names, train_transforms if train else valid_transforms), batch, shuffle=train,
                                       drop_last=train, num_workers=8 if device.type == 'cuda' else 2, persistent_workers=True)


def files(names, split):
    return [f for name in names for f in sorted((given.data / split / name).iterdir())[:given.limit]]


def inputs(x):
    return ((x.to(device).float() / 255 - MEAN.to(device).view(3, 1, 1)) / STD.to(device).view(3, 1, 1)).contiguous(memory_format=torch.channels_last)


class ConcatPool(nn.Module):
    def forward(self, x):
        return torch.cat([F.adaptive_max_pool2d(x, 1), F.adaptive_avg_pool2d(x, 1)], 1).flatten(1)


def head(features, outputs):
    norms = [nn.BatchNorm1d(2 * features), nn.BatchNorm1d(512)]
    for norm in norms:
        nn.init.constant_(norm.bias, 1e-3)
    made = nn.Sequential(ConcatPool(), norms[0], nn.Dropout(0.25), nn.Linear(2 * features, 512, bias=False), nn.ReLU(), norms[1],
                         nn.Dropout(0.5), nn.Linear(512, outputs, bias=False))
    for layer in made:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
    return made


def cos(a, b, at):
    return a + (1 + math.cos(math.pi * (1 - at))) * (b - a) / 2


def one_cycle(at, highest, start, div, final=1e5):
    if at < start:
        return cos(highest / div, highest, at / start), cos(0.95, 0.85, at / start)
    rest = (at - start) / (1 - start)
    return cos(highest, highest / final, rest), cos(0.85, 0.95, rest)


class Adam:
    """fastai's: decoupled weight decay, not of norms and biases; epsilon beside the root."""

    def __init__(self, groups):
        self.groups, self.steps = groups, {}

    @torch.no_grad()
    def step(self, rates, momentum):
        for (module_norms, parameters), lr in zip(self.groups, rates):
            for p in parameters:
                if p.grad is None or not p.requires_grad:
                    continue
                n, average, square = self.steps.get(p, (0, torch.zeros_like(p), torch.zeros_like(p)))
                n += 1
                if p not in module_norms:
                    p.mul_(1 - lr * 0.01)
                average.mul_(momentum).add_(p.grad, alpha=1 - momentum)
                square.mul_(0.99).addcmul_(p.grad, p.grad, value=0.01)
                p.addcdiv_(average, (square / (1 - 0.99**n)).sqrt() + 1e-5, value=-lr / (1 - momentum**n))
                self.steps[p] = (n, average, square)
                p.grad = None


def optimizer(model, groups):
    norms = {p for m in model.modules() if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d)) for p in m.parameters()}
    norms |= {p for name, p in model.named_parameters() if name.endswith('bias')}
    return Adam([(norms, group) for group in groups])


def fit(model, groups, train, valid, epochs, highest, start=0.25, div=25.0):
    """highest: a rate for each group. Returns the accuracy of the last epoch."""
    adam, steps, at, scaler = optimizer(model, groups), epochs * len(train), 0, None
    if device.type == 'cuda':
        scaler = torch.amp.GradScaler('cuda')
    accuracy = float('nan')
    for _ in range(epochs):
        model.train()
        for x, y in train:
            rates, momentum = zip(*(one_cycle(at / steps, rate, start, div) for rate in highest))
            with torch.autocast('cuda', torch.float16, enabled=device.type == 'cuda'):
                loss = F.cross_entropy(model(inputs(x)).float(), y.to(device))
            at += 1
            if scaler is None:
                loss.backward()
                adam.step(rates, momentum[0])
                continue
            scaler.scale(loss).backward()
            scale = scaler.get_scale()
            found = torch.stack([p.grad.isfinite().all() for p in model.parameters() if p.grad is not None]).all()
            if found:
                for p in model.parameters():
                    if p.grad is not None:
                        p.grad /= scale
                adam.step(rates, momentum[0])
            else:
                for p in model.parameters():
                    p.grad = None
            scaler.update(scale * (1.0 if found else 0.5))
        model.eval()
        right, count = 0, 0
        with torch.no_grad(), torch.autocast('cuda', torch.float16, enabled=device.type == 'cuda'):
            for x, y in valid:
                right += (model(inputs(x)).argmax(1) == y.to(device)).sum().item()
                count += len(y)
        accuracy = right / count
    return accuracy


def spread(low, high, count):
    return [low * (high / low) ** (i / (count - 1)) for i in range(count)]


names = sorted(d.name for d in (given.data / 'train').iterdir())
first, others = names[:given.classes], names[given.classes:]
torch.manual_seed(0)
body = models.resnet18(num_classes=len(first)).to(device, memory_format=torch.channels_last)
accuracy = fit(body, [list(body.parameters())], loader(files(first, 'train'), first, 64, True), loader(files(first, 'val'), first, 128, False),
               given.epochs, [given.lr])
print(f'{len(first)} classes: {accuracy:.4f}', flush=True)

rows = []
for seed in map(int, given.seeds.split(',')):
    draw = random.Random(seed)
    chosen = [f for name in others for f in draw.sample(files([name], 'train'), min(given.images, len(files([name], 'train'))))]
    result = []
    for pretrained in (True, False):
        torch.manual_seed(seed)
        net = models.resnet18(num_classes=2)
        if pretrained:
            net.load_state_dict({k: v for k, v in body.state_dict().items() if not k.startswith('fc')}, strict=False)
        layers = list(net.children())[:-2]
        model = nn.Sequential(nn.Sequential(*layers), head(512, len(others))).to(device, memory_format=torch.channels_last)
        groups = [[p for m in layers[:6] for p in m.parameters()], [p for m in layers[6:] for p in m.parameters()],
                  list(model[1].parameters())]
        train, valid = loader(chosen, others, 16, True), loader(files(others, 'val'), others, 32, False)
        lr = given.then_lr
        if pretrained:
            norms = {p for m in model[0].modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters()}
            for p in model[0].parameters():
                p.requires_grad = p in norms
            fit(model, groups, train, valid, 1, [lr / 10, lr / 10, lr], start=0.99)
            for p in model.parameters():
                p.requires_grad = True
            accuracy = fit(model, groups, train, valid, given.then_epochs, spread(lr / 2 / 100, lr / 2, 3), start=0.3, div=5.0)
        else:
            accuracy = fit(model, groups, train, valid, given.then_epochs + 1, [lr] * 3)
        result.append(accuracy)
    rows.append(result)
    print(f'seed {seed}: pretrained {result[0]:.4f}, from scratch {result[1]:.4f}', flush=True)
for i, name in enumerate(('pretrained', 'from scratch')):
    print(f'{name:14} {sum(row[i] for row in rows) / len(rows):.4f}   ' + ' '.join(f'{row[i]:.4f}' for row in rows))
