"""Which weights of a model of `keras.applications` can be asked for; imports no Keras."""

from pathlib import Path


def check_weights(weights: str | None) -> None:
    """Raises FileNotFoundError unless it is None, "none", "imagenet" or the path of a file."""
    if weights not in (None, "none", "imagenet") and not Path(weights).expanduser().is_file():
        raise FileNotFoundError(
            f"weights is {weights!r}, which is not a file; expected imagenet, none or a file of "
            "weights. Check the spelling or the path."
        )
