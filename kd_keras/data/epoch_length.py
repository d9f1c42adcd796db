"""How many steps an epoch has."""

from collections.abc import Sized

from kd_keras import check


def steps_per_epoch(split: Sized, batch_size: int, accumulate: int = 1) -> int:
    """Full batches in one pass over the split; the remainder, new in each epoch, is left out.

    Args:
        split: the examples.
        batch_size: examples in a batch.
        accumulate: batches that make one update; their number in an epoch is a multiple of it.

    Raises:
        ValueError: the batches of one update are larger than the split.
    """
    check.whole_number("batch_size", batch_size, at_least=1)
    update = batch_size * check.whole_number("accumulate", accumulate, at_least=1)
    if update > len(split):
        raise ValueError(_too_large_update(batch_size, accumulate, num_images=len(split)))
    return accumulate * (len(split) // update)


def _too_large_update(batch_size: int, accumulate: int, *, num_images: int) -> str:
    """The message about an update of more images than there are."""
    if accumulate == 1:
        return (
            f"batch_size is {batch_size}, but there are only {num_images} training images; "
            f"expected a batch no larger than the data. Give --batch-size {num_images} or less."
        )
    largest = num_images // accumulate
    remedy = f"batch_size={largest} or less (--batch-size {largest * accumulate})"
    if not largest:
        remedy = (
            f"accumulate={num_images} or less (--accumulate {num_images}) and a smaller batch_size"
        )
    return (
        f"batch_size is {batch_size} and accumulate is {accumulate}, so that an update takes "
        f"{batch_size * accumulate} images, but there are only {num_images} training images; "
        f"expected {num_images} or less in an update. Give {remedy}."
    )
