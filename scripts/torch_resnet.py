"""The narrow pair of bench_step.py in PyTorch, trained the way a plain loop does it.

Eager, channels last, the teacher under no_grad; float32, and bfloat16 by autocast. The student
alone, from a teacher beside it, and from given logits.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

TEMPERATURE, KD_WEIGHT, CE_WEIGHT = 4.0, 0.9, 0.1


class Block(nn.Module):
    def __init__(self, before: int, channels: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential()
        if stride != 1 or before != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(before, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


def resnet(stem: int, stages: list[tuple[int, int]], num_classes: int) -> nn.Module:
    """A stem of stride 2, then stages of (channels, blocks), all but the first at half size."""
    parts: list[nn.Module] = [nn.Conv2d(3, stem, 3, 2, 1, bias=False), nn.BatchNorm2d(stem)]
    parts.append(nn.ReLU())
    before = stem
    for place, (channels, depth) in enumerate(stages):
        for block in range(depth):
            parts.append(Block(before, channels, 2 if place and not block else 1))
            before = channels
    parts += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, num_classes)]
    return nn.Sequential(*parts).to(memory_format=torch.channels_last)


def steps(*, batch: int, num_classes: int, size: int) -> dict[str, Callable[[], Any]]:
    """Each way to train, as a function that takes one step."""
    images = torch.randint(0, 256, (batch, 3, size, size), dtype=torch.uint8)
    labels = torch.randint(0, num_classes, (batch,))
    gradient = torch.randn(batch, num_classes)
    teacher = resnet(64, [(64, 2), (128, 2), (256, 2), (512, 2)], num_classes).eval()

    def trained(bfloat16: bool, supervision: str) -> Callable[[], Any]:
        student = resnet(16, [(16, 1), (32, 1), (64, 1)], num_classes).train()
        optimizer = torch.optim.Adam(student.parameters(), 0.001)

        def step() -> float:
            x = images.float().div_(127.5).sub_(1).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                with torch.no_grad():
                    soft = teacher(x).float() if supervision == "online" else gradient
                logits = student(x).float()
            loss = F.cross_entropy(logits, labels)
            if supervision != "alone":
                loss = CE_WEIGHT * loss + KD_WEIGHT * TEMPERATURE**2 * F.kl_div(
                    F.log_softmax(logits / TEMPERATURE, 1),
                    F.softmax(soft / TEMPERATURE, 1),
                    reduction="batchmean",
                )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            return float(loss.detach())

        return step

    return {
        f"PyTorch {supervision}, {'bfloat16' if half else 'float32'}": trained(half, supervision)
        for supervision in ("alone", "cached", "online")
        for half in (False, True)
    }
