"""PyTorch: on the CPU in f32, or on CUDA with AMP and channels_last. Layouts: x and y [N,C,H,W], weight [O,C,R,S].

Talks with run.mjs as protocol.mjs says. With the argument `reference` it reads the network and the optimizers of
network.mjs as JSON, and prints the losses of the first steps in double precision; see README.md.
"""
import json
import os
import resource
import sys
import time

import torch
import torch.nn.functional as F

ANSWER = '@@ '
CUDA = torch.cuda.is_available()
DEVICE = 'cuda' if CUDA else 'cpu'
torch.backends.cudnn.benchmark = True
if 'OMP_NUM_THREADS' not in os.environ:
    # As many as a software adapter takes; some builds take one.
    torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count())


def numbers(operand):
    """As numbers.mjs: uniform by a hash (lowbias32) of each element's place."""
    shape = operand['shape']
    count = 1
    for axis in shape:
        count *= axis
    low = 0xFFFFFFFF
    h = (torch.arange(count, dtype=torch.int64) + operand['seed'] * 0x9E3779B9) & low
    h = ((h ^ (h >> 16)) * 0x7FEB352D) & low
    h = ((h ^ (h >> 15)) * 0x846CA68B) & low
    h = h ^ (h >> 16)
    uniform = 2 * (h >> 8).double() / 2**24 - 1
    return (operand.get('centre', 0) + operand['spread'] * uniform).float().reshape(shape)


def own_layout(data):
    """[N,H,W,C] -> [N,C,H,W], [O,R,S,C] -> [O,C,R,S]: on CUDA by strides only, which is channels_last."""
    if data.dim() != 4:
        return data
    moved = data.permute(0, 3, 1, 2)
    return moved if CUDA else moved.contiguous()


def made(operand, dtype=torch.float32):
    return own_layout(numbers(operand)).to(DEVICE, dtype)


def finished():
    if CUDA:
        torch.cuda.synchronize()


class Operation:
    def __init__(self, problem):
        # What AMP multiplies in.
        dtype = torch.float16 if CUDA else torch.float32
        given = {name: made(operand, dtype) for name, operand in problem['operands'].items()}
        which = problem['pass']
        if which == 'matmul':
            a, b = given['a'], given['b']
            self.launch = lambda: a @ b
            return
        x, weight, dy = given['x'], given['weight'], given['dy']
        stride, pad = [problem['stride']] * 2, [problem['pad']] * 2

        def gradient(mask):
            results = torch.ops.aten.convolution_backward(dy, x, weight, None, stride, pad, [1, 1], False, [0, 0], 1, mask)
            return results[mask.index(True)]

        self.launch = {
            'forward': lambda: F.conv2d(x, weight, None, stride, pad),
            'input': lambda: gradient([True, False, False]),
            'weight': lambda: gradient([False, True, False]),
        }[which]

    def run(self, times):
        for _ in range(times):
            self.launch()
        finished()

    def values(self, indices):
        result = self.launch().float().cpu()
        if result.dim() == 4:
            result = result.permute(0, 2, 3, 1)
        return result.reshape(-1)[indices].tolist()


class Training:
    """The network of network.mjs, written with functions: the modules of torch.nn call the same."""

    def __init__(self, network, optimizer, dtype=torch.float32):
        self.network = network
        self.parameters = {p['path']: made(p, dtype).requires_grad_() for p in network['parameters']}
        self.running = {
            path[: -len('.weight')]: (torch.zeros_like(value.detach()), torch.ones_like(value.detach()))
            for path, value in self.parameters.items() if path.endswith('.1.weight') and value.dim() == 1
        }
        self.x = made(network['x'], dtype)
        self.labels = torch.tensor(network['labels'], device=DEVICE)
        values, rate, momentum = self.parameters.values(), optimizer['learningRate'], optimizer['momentum']
        if optimizer['name'] == 'adam':
            betas = (momentum, optimizer['squareMomentum'])
            self.optimizer = torch.optim.Adam(values, rate, betas, optimizer['epsilon'])
        else:
            self.optimizer = torch.optim.SGD(values, rate, momentum)
        self.scaler = torch.cuda.amp.GradScaler(enabled=CUDA)

    def unit(self, x, layer):
        y = F.conv2d(x, self.parameters[layer['conv']], None, layer['stride'], layer['pad'])
        norm, network = layer['norm'], self.network
        z = F.batch_norm(
            y, *self.running[norm], self.parameters[f'{norm}.weight'], self.parameters[f'{norm}.bias'],
            True, network['normMomentum'], network['epsilon'])
        return F.relu_(z) if layer['relu'] else z

    def forward(self):
        h = self.x
        for layer in self.network['stem']:
            h = self.unit(h, layer)
        h = F.max_pool2d(h, 3, 2, 1)
        for block in self.network['blocks']:
            straight = self.unit(F.avg_pool2d(h, 2), block['shortcut']) if 'shortcut' in block else h
            h = F.relu_(self.unit(self.unit(h, block['a']), block['b']) + straight)
        head = self.network['head']
        return F.linear(h.mean((2, 3)), self.parameters[f'{head}.weight'], self.parameters[f'{head}.bias'])

    def step(self):
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast('cuda', torch.float16, enabled=CUDA):
            loss = F.cross_entropy(self.forward(), self.labels)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        value = loss.item()
        finished()
        return value


def timed(work):
    cpu, start = time.process_time(), time.perf_counter()
    result = work()
    return result, {'timeMs': (time.perf_counter() - start) * 1e3, 'cpuMs': (time.process_time() - cpu) * 1e3}


def peak_memory():
    """The most memory this process ever held. Linux counts it from its start."""
    if sys.platform == 'linux':
        with open('/proc/self/status') as status:
            return next(int(line.split()[1]) for line in status if line.startswith('VmHWM:')) * 1024
    # In bytes on macOS.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class Server:
    def hello(self, _):
        adapter = torch.cuda.get_device_name() if CUDA else f'CPU, {torch.get_num_threads()} threads'
        return {'version': torch.__version__, 'adapter': adapter, 'precision': 'mixed' if CUDA else 'f32'}

    def operation(self, request):
        self.current = Operation(request['problem'])
        return {}

    def values(self, request):
        return {'values': self.current.values(request['indices'])}

    def run(self, request):
        return timed(lambda: self.current.run(request['times']))[1]

    def training(self, request):
        self.trained = Training(request['network'], request['optimizer'])
        return {}

    def step(self, _):
        loss, times = timed(self.trained.step)
        return {'loss': loss, **times, 'counts': {}}

    def memory(self, _):
        return {'bytes': peak_memory()}


def serve():
    server = Server()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(server, request['do'])(request)
        except Exception as error:  # whatever it is, run.mjs says it
            answer = {'error': f'{type(error).__name__}: {error}'[:2000]}
        print(ANSWER + json.dumps(answer), flush=True)


def reference():
    given = json.load(sys.stdin)
    for optimizer in given['optimizers'].values():
        training = Training(given['network'], optimizer, torch.float64)
        print(optimizer['name'], [training.step() for _ in range(3)])


if sys.argv[1:] == ['reference']:
    reference()
else:
    serve()
