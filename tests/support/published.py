"""The published networks, losses and updates in plain tensor operations, to compare the package's own with.

Each network takes its weights as one flat list, in the order of the layers.
"""

import torch
import torch.nn.functional as F


def normalized(x, *, over):
    """Mean 0 and variance 1 over these axes; 1e-5 is added to the variance."""
    mean = x.mean(over, keepdim=True)
    variance = (x - mean).square().mean(over, keepdim=True)
    return (x - mean) / torch.sqrt(variance + 1e-5)


def instance_norm(x):
    return normalized(x, over=(2, 3))


def batch_norm(x, gain, shift):
    return normalized(x, over=(0, 2, 3)) * gain[:, None, None] + shift[:, None, None]


def leaky(x):
    return torch.where(x > 0, x, 0.2 * x)


def reflected(x, border):
    return F.pad(x, [border] * 4, mode="reflect")


def with_latent(x, z):
    """Each value of z as a channel of its own."""
    return torch.cat([x, z[:, :, None, None].expand(-1, -1, *x.shape[2:]).to(x.dtype)], dim=1)


def blurred(x):
    """Every second pixel of the binomial mean of its 3 x 3 neighbours."""
    y = reflected(x, 1)
    y = (y[:, :, :-2] + 2 * y[:, :, 1:-1] + y[:, :, 2:]) / 4
    y = (y[..., :-2] + 2 * y[..., 1:-1] + y[..., 2:]) / 4
    return y[:, :, ::2, ::2]


def unet(weights, x, *, depth, norm, z=None):
    """Isola et al. 2017, sec. 6.1.1; with z Zhu et al. 2017b's, whose latent joins every layer of the encoder."""
    left = iter(weights)

    def bias():
        return None if norm == "batch" else next(left)

    def normed(x):
        return batch_norm(x, next(left), next(left)) if norm == "batch" else instance_norm(x)

    seen = []
    for level in range(depth):
        x = x if z is None else with_latent(x, z)
        x = F.conv2d(leaky(x) if level else x, next(left), bias(), stride=2, padding=1)
        x = normed(x) if 0 < level < depth - 1 else x
        seen.append(x)
    x = seen.pop()
    for _ in range(depth - 1):
        x = normed(F.conv_transpose2d(x.relu(), next(left), bias(), stride=2, padding=1))
        x = torch.cat([seen.pop(), x], dim=1)
    result = torch.tanh(F.conv_transpose2d(x.relu(), next(left), next(left), stride=2, padding=1))
    assert not list(left)
    return result


def resnet(weights, x, *, blocks):
    """Zhu et al. 2017, sec. 7.2."""
    left = iter(weights)
    x = instance_norm(F.conv2d(reflected(x, 3), next(left), next(left))).relu()
    for _ in range(2):
        x = instance_norm(F.conv2d(x, next(left), next(left), stride=2, padding=1)).relu()
    for _ in range(blocks):
        y = instance_norm(F.conv2d(reflected(x, 1), next(left), next(left))).relu()
        x = x + instance_norm(F.conv2d(reflected(y, 1), next(left), next(left)))
    for _ in range(2):
        x = F.conv_transpose2d(x, next(left), next(left), stride=2, padding=1, output_padding=1)
        x = instance_norm(x).relu()
    result = torch.tanh(F.conv2d(reflected(x, 3), next(left), next(left)))
    assert not list(left)
    return result


def cut_resnet(weights, x, *, blocks):
    """CUT's, which resamples without aliasing: the result, and its encoder's five maps (Park et al. 2020, sec. 4)."""
    left, seen = iter(weights), [x]
    x = instance_norm(F.conv2d(reflected(x, 3), next(left), next(left))).relu()
    for _ in range(2):
        x = F.conv2d(x, next(left), next(left), padding=1)
        seen.append(x)
        x = blurred(instance_norm(x).relu())
    for block in range(blocks):
        y = instance_norm(F.conv2d(reflected(x, 1), next(left), next(left))).relu()
        x = x + instance_norm(F.conv2d(reflected(y, 1), next(left), next(left)))
        if block in (0, 4):
            seen.append(x)
    for _ in range(2):
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        x = instance_norm(F.conv2d(x, next(left), next(left), padding=1)).relu()
    result = torch.tanh(F.conv2d(reflected(x, 3), next(left), next(left)))
    assert not list(left)
    return result, seen


def patchgan(weights, x, *, layers=1, norm, padding=1, down="strided", seen=None):
    """Isola et al. 2017, sec. 6.1.2; what each of its layers but the last gives is appended to `seen`."""
    left = iter(weights)
    for level in range(layers + 1):
        weight = next(left)
        bias = next(left) if level == 0 or norm == "instance" else None
        halves = level < layers
        x = F.conv2d(x, weight, bias, stride=2 if halves and down == "strided" else 1, padding=padding)
        if level:
            x = batch_norm(x, next(left), next(left)) if norm == "batch" else instance_norm(x)
        x = leaky(x)
        if seen is not None:
            seen.append(x)
        x = blurred(x) if halves and down == "blur" else x
    result = F.conv2d(x, next(left), next(left), padding=padding)
    assert not list(left)
    return result


def halved(x):
    """Every second pixel of the mean of its 3 x 3 neighbours, of which there are fewer at the border."""
    ones = F.pad(torch.ones_like(x), [1] * 4).unfold(2, 3, 2).unfold(3, 3, 2).sum((4, 5))
    return F.pad(x, [1] * 4).unfold(2, 3, 2).unfold(3, 3, 2).sum((4, 5)) / ones


def coarse_to_fine(weights, x, *, depth, blocks, enhancer_blocks):
    """Wang et al. 2018, sec. 3.2, with one enhancer."""
    left = iter(weights)

    def level(x, inner, *, depth, blocks):
        y = instance_norm(F.conv2d(reflected(x, 3), next(left), next(left))).relu()
        for _ in range(depth):
            y = instance_norm(F.conv2d(y, next(left), next(left), stride=2, padding=1)).relu()
        y = y if inner is None else y + inner
        for _ in range(blocks):
            z = instance_norm(F.conv2d(reflected(y, 1), next(left), next(left))).relu()
            y = y + instance_norm(F.conv2d(reflected(z, 1), next(left), next(left)))
        for _ in range(depth):
            y = F.conv_transpose2d(y, next(left), next(left), stride=2, padding=1, output_padding=1)
            y = instance_norm(y).relu()
        return y

    inner = level(halved(x), None, depth=depth, blocks=blocks)
    y = level(x, inner, depth=1, blocks=enhancer_blocks)
    result = torch.tanh(F.conv2d(reflected(y, 3), next(left), next(left)))
    assert not list(left)
    return result


def encoder(weights, x, *, blocks):
    """Zhu et al. 2017b, appendix: the mean and the log variance."""
    left = iter(weights)

    def mean_of_four(x):
        return x.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))

    x = F.conv2d(x, next(left), next(left), stride=2, padding=1)
    for _ in range(blocks):
        y = F.conv2d(leaky(instance_norm(x)), next(left), next(left), padding=1)
        y = mean_of_four(F.conv2d(leaky(instance_norm(y)), next(left), next(left), padding=1))
        x = y + F.conv2d(mean_of_four(x), next(left), next(left))
    x = leaky(x).mean((2, 3))
    mean, log_variance = (x @ next(left).T + next(left) for _ in range(2))
    assert not list(left)
    return mean, log_variance


def distance(one, other):
    """L1, the mean over all values."""
    return (one - other).abs().mean()


def cross_entropy(logits, label):
    """Of a label of 0 or 1, from equation 1 of Goodfellow et al. 2014."""
    probability = 1 / (1 + torch.exp(-logits))
    return -torch.log(probability if label else 1 - probability).mean()


def least_squares(logits, label):
    """Mao et al. 2017, eq. 9, without its halves."""
    return (logits - label).square().mean()


def contrast(query, key, *, temperature=0.07):
    """Park et al. 2020, eq. 3, patch by patch: (P, C) each, of unit length, of one image."""
    total = 0
    for index in range(len(query)):
        similar = torch.exp((key @ query[index]) / temperature)
        total = total - torch.log(similar[index] / similar.sum())
    return total / len(query)


class Adam:
    """Kingma and Ba 2015, algorithm 1, with the settings of the papers: 0.5, 0.999, 1e-8."""

    def __init__(self, weights):
        self.weights, self.step = weights, 0
        self.first, self.second = ([torch.zeros_like(w) for w in weights] for _ in range(2))

    def move(self, loss, *, rate):
        """Descend a loss by one step at this rate."""
        slopes = torch.autograd.grad(loss, self.weights)
        self.step += 1
        with torch.no_grad():
            for index, (weight, slope) in enumerate(zip(self.weights, slopes, strict=True)):
                self.first[index] = 0.5 * self.first[index] + 0.5 * slope
                self.second[index] = 0.999 * self.second[index] + 0.001 * slope**2
                mean = self.first[index] / (1 - 0.5**self.step)
                square = self.second[index] / (1 - 0.999**self.step)
                weight -= rate * mean / (square.sqrt() + 1e-8)


def weights_of(network):
    """A copy of a network's weights, in the order of its layers."""
    return [weight.detach().clone().requires_grad_() for weight in network.parameters()]
