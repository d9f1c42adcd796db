"""The views of a split's images, as students and teachers see them: pixels and labels."""

import functools
import hashlib
from typing import Any

import numpy as np

from kd_keras.data.augmentation import mixing, pixels
from kd_keras.data.augmentation.draws import Draws
from kd_keras.data.augmentation.policy import Policy
from kd_keras.data.stores.store import UNKNOWN, Split

_PERMUTATIONS = 4  # kept in memory: batches of neighbouring epochs, and two views of an image


class Views:
    """Views of the images of a split; each is a pure function of (view seed, view, id).

    With a policy that mixes, also of the split's set of ids, from which partners come. Images with
    a label are mixed with others that have one, and images without a label with others without, so
    that no label is lost.

    Args:
        split: the images.
        policy: the augmentation.
        view_seed: int >= 0, seed of all its draws.

    Raises:
        ValueError: images that the policy cannot change.
    """

    def __init__(self, split: Split, *, policy: Policy, view_seed: int):
        pixels.require_fitting(policy, split.images.shape[1:], split.side)
        self.split, self.policy, self.view_seed = split, policy, view_seed
        self._partners = functools.lru_cache(_PERMUTATIONS)(self._permutation)

    @functools.cached_property
    def _order(self) -> np.ndarray:
        """(N,) int: positions in the split by rising id."""
        return np.argsort(self.split.ids, kind="stable")

    def images(self, ids: np.ndarray, view: int) -> np.ndarray:
        """(B, H, W, C) uint8: a view of each image.

        Args:
            ids: (B,) int, of the split.
            view: int >= 0.
        """
        images = self._unmixed(ids, view)
        if self.policy.mixes:
            partners = self._unmixed(self._partners_of(ids, view)[0], view)
            mixing.mix(images, partners, self._mixture(ids, view))
        return images

    def labels(self, ids: np.ndarray, view: int, num_classes: int) -> np.ndarray:
        """(B, C) float32: the labels of mixed views, unknown ones rows of -1.

        They are probabilities; of multi-label data, shares of each class, 0 to 1.

        Args:
            ids: (B,) int, of the split.
            view: int >= 0.
            num_classes: C.
        """
        _, rows_of_partners = self._partners_of(ids, view)
        own_labels, partner_labels = (
            self.split.labels[rows] for rows in (self._rows(ids), rows_of_partners)
        )
        shares = self.shares(ids, view)
        if self.split.multi_label:
            soft_labels = mixing.mixed_rows(own_labels, partner_labels, shares)
        else:
            soft_labels = mixing.soft_labels(own_labels, partner_labels, shares, num_classes)
        soft_labels[own_labels == UNKNOWN] = UNKNOWN
        return soft_labels

    def shares(self, ids: np.ndarray, view: int) -> np.ndarray:
        """(B,) float32, 0 to 1: share of its own label in the label of each mixed view."""
        return self._mixture(ids, view).label_shares(*self.split.image_shape[:2])

    def _unmixed(self, ids: np.ndarray, view: int) -> np.ndarray:
        source, rows = self.split.rows_of(ids)
        return pixels.augment(
            source,
            rows,
            ids,
            view_seed=self.view_seed,
            view=view,
            policy=self.policy,
            side=self.split.side,
        )

    def _mixture(self, ids: np.ndarray, view: int) -> mixing.Mixture:
        draws = Draws(ids, self.view_seed, view)
        return mixing.mixture(draws, self.policy, *self.split.image_shape[:2])

    def _rows(self, ids: np.ndarray) -> np.ndarray:
        """(B,) int: positions of ids in the split."""
        positions = np.searchsorted(self.split.ids, ids, sorter=self._order)
        rows: np.ndarray = self._order[positions]
        return rows

    def _partners_of(self, ids: np.ndarray, view: int) -> tuple[np.ndarray, np.ndarray]:
        """(B,) ids of the partners, and their positions in the split."""
        positions = np.searchsorted(self.split.ids, ids, sorter=self._order)
        partners = self._partners(view)[positions]
        return partners, self._rows(partners)

    def _permutation(self, view: int) -> np.ndarray:
        """(N,) int64: the partner of each id, ids ascending."""
        ids, is_known = self.split.ids[self._order], self.split.known[self._order]
        partners: np.ndarray = ids.copy()
        for group in (is_known, ~is_known):
            if group.any():
                key = {"view_seed": self.view_seed, "view": view}
                partners[group] = mixing.permutation(ids[group], **key)
        return partners


def view_settings(split: Split, policy: Policy) -> dict[str, Any]:
    """What decides the pixels of a view beside the images, seed and ids, as JSON.

    That of the policy; where it mixes and labels are unknown, also "labelled": a hash of the ids of
    the labelled images, since they are mixed with each other.

    Args:
        split: the training examples.
        policy: the augmentation.
    """
    values = policy.to_json()
    if not policy.mixes or split.known.all():
        return values
    labelled_ids = np.sort(split.ids[split.known]).astype("<i8")
    return values | {"labelled": hashlib.sha256(labelled_ids.tobytes()).hexdigest()[:16]}
