"""Mixup and CutMix: an image and its label are mixed with those of a partner.

The share of an image is a pure function of (view seed, view, id), and its partner of these and the
set of training images, so a mixed image is a view like any other.
"""

from dataclasses import dataclass

import numpy as np

from kd_keras.data import hashing
from kd_keras.data.augmentation.draws import Draws, purpose
from kd_keras.data.augmentation.policy import Policy

ONE = 1 << 16  # a share of 1: shares are whole numbers, so pixels are the same on every machine
_PARTNER, _MIX = purpose("partner"), purpose("mix")


@dataclass(frozen=True)
class Mixture:
    """How each image of a batch is mixed with its partner.

    Attributes:
        shares: (B,) int64, share of the image's own pixels and label, in 65,536ths.
        boxes: (B, 4) int64, left, top, right and bottom of what CutMix takes from the partner, in
            pixels; for images that mixup mixes, right is -1.
    """

    shares: np.ndarray
    boxes: np.ndarray

    def label_shares(self, height: int, width: int) -> np.ndarray:
        """(B,) float32, 0 to 1: share of the own label. With CutMix, that of the own pixels."""
        left, top, right, bottom = self.boxes.T
        own_share = 1 - (right - left) * (bottom - top) / (height * width)
        return np.where(right < 0, self.shares / ONE, own_share).astype(np.float32)


def permutation(ids: np.ndarray, *, view_seed: int, view: int) -> np.ndarray:
    """The partner of each id: a random permutation, which belongs to the view.

    Args:
        ids: (N,) int64, ascending; all ids of the training images.
        view_seed: int.
        view: int >= 0.

    Returns:
        (N,) int64, ids. Each id is the partner of one image; one in N is its own.
    """
    return ids[np.argsort(hashing.random_bits(ids, _PARTNER, view_seed, view), kind="stable")]


def mixture(draws: Draws, policy: Policy, height: int, width: int) -> Mixture:
    """How images are mixed. Where the policy has mixup and CutMix, half of the images get each.

    The share follows Beta(alpha, alpha), by inverse transform. CutMix's box has the partner's share
    of the area, a middle that is uniform over the image, and the image's aspect ratio; what sticks
    out is cut off, and the own share grows by it. A box of less than half a pixel a side is empty.

    Args:
        draws: random numbers of the batch's images in one view.
        policy: the augmentation; its alphas `mixup` and `cutmix` count.
        height, width: pixels of the images.

    Source: Zhang et al. 2017, arXiv:1710.09412, equation 1; Yun et al. 2019, arXiv:1905.04899,
    section 3.1, where the sides of the box are rounded down.
    """
    cut = draws.happens(_MIX, 0, 0.5) if policy.mixup and policy.cutmix else bool(policy.cutmix)
    cuts = np.broadcast_to(cut, draws.ids.shape)
    alphas = np.where(cuts, policy.cutmix or 1.0, policy.mixup or 1.0)
    shares = beta(draws.uniform(_MIX, 1), alphas)
    sides = np.array((height, width))
    box_sides = np.rint(np.sqrt(1 - shares / ONE)[:, None] * sides).astype(np.int64)  # (B, 2)
    middle = np.stack(
        [np.floor(draws.uniform(_MIX, 2 + axis) * side) for axis, side in enumerate(sides)], axis=1
    ).astype(np.int64)
    start = np.clip(middle - box_sides // 2, 0, sides)
    stop = np.clip(middle - box_sides // 2 + box_sides, 0, sides)
    boxes = np.stack([start[:, 1], start[:, 0], stop[:, 1], stop[:, 0]], axis=1)
    boxes[~cuts] = (0, 0, -1, 0)
    return Mixture(shares, boxes)


def beta(uniform: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Numbers that follow Beta(alpha, alpha), from uniform ones.

    Args:
        uniform: (B,) float64, 0 to 1.
        alpha: (B,) float64 > 0.

    Returns:
        (B,) int64, in 65,536ths: coarse enough that no machine rounds to another number.
    """
    from scipy import special

    shares: np.ndarray = np.rint(special.betaincinv(alpha, alpha, uniform) * ONE)
    return shares.astype(np.int64)


def mix(images: np.ndarray, partners: np.ndarray, mixture: Mixture) -> None:
    """Mixes (B, H, W, C) uint8 images with those of their partners, in place.

    A mixed value is rounded to the nearest whole number, halves up.

    Args:
        images: (B, H, W, C) uint8, overwritten by the result.
        partners: (B, H, W, C) uint8, the partner of each image.
        mixture: shares and boxes of the B pairs.
    """
    rows = zip(images, partners, mixture.shares.tolist(), mixture.boxes.tolist(), strict=True)
    for image, partner, share, (left, top, right, bottom) in rows:
        if right < 0:
            total = image.astype(np.uint32) * np.uint32(share)
            total += partner.astype(np.uint32) * np.uint32(ONE - share)
            image[:] = (total + np.uint32(ONE // 2)) >> np.uint32(16)
        else:
            image[top:bottom, left:right] = partner[top:bottom, left:right]


def soft_labels(
    labels: np.ndarray, partner_labels: np.ndarray, shares: np.ndarray, num_classes: int
) -> np.ndarray:
    """(B, C) float32: the own class has its share, the partner's class the rest.

    Args:
        labels, partner_labels: (B,) int, 0 to C - 1.
        shares: (B,) float32, of the own label.
        num_classes: C.
    """
    soft = np.zeros((len(labels), num_classes), np.float32)
    rows = np.arange(len(labels))
    soft[rows, labels] = shares
    soft[rows, partner_labels] += 1 - shares
    return soft


def mixed_rows(labels: np.ndarray, partner_labels: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """(B, C) float32, 0 to 1: `soft_labels` of images that may have several classes.

    Args:
        labels, partner_labels: (B, C) int, 1 for each class that an image has, else 0.
        shares: (B,) float32, of the own labels.
    """
    own_shares = shares[:, None]
    return np.asarray(own_shares * labels + (1 - own_shares) * partner_labels, np.float32)
