"""Pillow against OpenCV: microseconds an image for the slowest operations of augmentation.

Shows: whether a second library for pixels would pay, and whether OpenCV's pixels depend on the
processor's instructions. Both get a NumPy array and give one, on one thread. Times are of the
thread, so that other programs change them little.
On: random images. Needs OpenCV: pip install opencv-python-headless
Takes: half a minute.

    python scripts/bench_pixels.py
"""

import statistics
import time

import cv2
import numpy as np
from PIL import Image, ImageFilter, ImageOps

SIZES = ((64, 64), (256, 224))  # of the stored image, and of the result
REPEATS, IMAGES = 5, 200
BILINEAR = Image.Resampling.BILINEAR


def main() -> None:
    cv2.setNumThreads(1)
    print("| operation | image | Pillow, us | OpenCV, us | ratio |")
    print("| --- | --- | --- | --- | --- |")
    for stored, result in SIZES:
        images = np.random.default_rng(0).integers(0, 256, (IMAGES, stored, stored, 3), np.uint8)
        for name, (pillow, opencv) in operations(stored, result).items():
            times = microseconds(pillow, images), microseconds(opencv, images)
            ratio = times[0] / times[1]
            print(f"| {name} | {stored} | {times[0]:.0f} | {times[1]:.0f} | {ratio:.1f} |")
    print("\nvalues that differ between OpenCV's fast and plain instructions")
    for name, share in differing(*SIZES[0]).items():
        print(f"{name}: {100 * share:.3f} %")


def differing(stored: int, result: int) -> dict[str, float]:
    """Share of the values of an image that OpenCV computes differently without SIMD."""
    image = np.random.default_rng(0).integers(0, 256, (stored, stored, 3), np.uint8)
    changes = {name: opencv for name, (_, opencv) in operations(stored, result).items()}
    part = slice(5, 5 + int(stored * 0.7))
    changes["resized crop, bicubic"] = lambda i: cv2.resize(
        i[part, part], (result, result), interpolation=cv2.INTER_CUBIC
    )
    shares = {}
    for name, change in changes.items():
        outputs = []
        for optimized in (True, False):
            cv2.setUseOptimized(optimized)
            outputs.append(change(image))
        shares[name] = float(np.mean(outputs[0] != outputs[1]))
    cv2.setUseOptimized(True)
    return shares


def operations(stored: int, result: int):
    """The same change by each library, by its name."""
    left, top, side = stored // 8, stored // 10, int(stored * 0.7)
    middle = (stored / 2, stored / 2)
    matrix = cv2.getRotationMatrix2D(middle, 9, 1.0)

    def pillow_change(change):
        return lambda image: np.asarray(change(Image.fromarray(image)))

    def cut(image):
        part = image[top : top + side, left : left + side]
        how = cv2.INTER_AREA if side > result else cv2.INTER_LINEAR  # Pillow's is antialiased
        return cv2.resize(part, (result, result), interpolation=how)

    def equalized(image):
        return np.stack([cv2.equalizeHist(image[..., c]) for c in range(3)], axis=-1)

    return {
        "resized crop": (
            pillow_change(
                lambda i: i.resize(
                    (result, result), BILINEAR, box=(left, top, left + side, top + side)
                )
            ),
            cut,
        ),
        "rotation": (
            pillow_change(lambda i: i.rotate(9, resample=BILINEAR)),
            lambda i: cv2.warpAffine(i, matrix, (stored, stored), flags=cv2.INTER_LINEAR),
        ),
        "equalize": (pillow_change(ImageOps.equalize), equalized),
        "blur, sigma 1": (
            pillow_change(lambda i: i.filter(ImageFilter.GaussianBlur(1.0))),
            lambda i: cv2.GaussianBlur(i, (0, 0), 1.0),
        ),
        "none, only the conversion": (pillow_change(lambda i: i), lambda i: i),
    }


def microseconds(change, images: np.ndarray) -> float:
    """Median over repeats of the time for one image."""
    times = []
    for _ in range(REPEATS + 1):
        start = time.thread_time()
        for image in images:
            change(image)
        times.append((time.thread_time() - start) / len(images) * 1e6)
    return statistics.median(times[1:])


if __name__ == "__main__":
    main()
