import numpy as np
import pytest


@pytest.fixture
def photos():
    """photos(count, side) gives smooth images with edges, on which every step changes something."""

    def make(count, side=16, channels=3):
        y, x = np.mgrid[:side, :side] / side
        waves = [np.sin(6 * (x + shift) + 4 * y * shift) for shift in (0.2, 0.5, 0.9)[:channels]]
        image = 110 + 90 * np.stack(waves, axis=-1)
        image[side // 4 : side // 2, side // 3 : side // 2] = np.linspace(20, 250, channels)
        shifts = np.arange(count).reshape(-1, 1, 1, 1) % 40
        return np.clip(image[None] + shifts, 0, 255).astype(np.uint8)

    return make


@pytest.fixture
def seen_by():
    """seen_by(step, images, view) gives the images after one step alone."""
    from kd_keras.data.augmentation import Policy, augment

    def run(step, images, *, view=0, view_seed=0):
        rows = np.arange(len(images))
        policy = Policy((step,))
        return augment(images, rows, rows, view_seed=view_seed, view=view, policy=policy)

    return run
