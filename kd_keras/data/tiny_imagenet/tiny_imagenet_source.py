"""From Tiny ImageNet's archive to the contents of a store."""

from functools import partial
from pathlib import Path

from kd_keras.data import user_files
from kd_keras.data.progress import Progress
from kd_keras.data.stores.make_store import Source
from kd_keras.data.stores.store_writer import Contents, SplitContents
from kd_keras.data.tiny_imagenet import archive, layout
from kd_keras.data.tiny_imagenet.download import download

NAME = "tiny_imagenet"
_SIDE = 64


def source(*, data_dir: Path | None, image_size: int | None, resize: str | None) -> Source:
    """Tiny ImageNet from the user's own zip or folder, or else from the network.

    Args:
        data_dir: the zip, the folder, or a folder that holds one of them; None: download.
        image_size: height and width in pixels; None: 64.
        resize: how images become square; None: crop.
    """
    path = None if data_dir is None else archive.find(data_dir)
    image_size = None if image_size == _SIDE else image_size  # one store, not two equal ones
    return Source(
        name=NAME,
        kind=NAME,
        settings={"path": path and str(path), "image_size": image_size},
        state="official" if path is None else user_files.state(path),
        flip=True,
        val_fraction=0.1,
        contents=partial(_contents, path=path, image_size=image_size),
        resize=resize or "crop",
        digest=None if path is None else partial(user_files.digest, path),
    )


def _contents(
    folder: Path, progress: Progress, *, path: Path | None, image_size: int | None
) -> Contents:
    from kd_keras.data.tiny_imagenet import images

    if path is None:
        from kd_keras.data.tiny_imagenet import tiny_imagenet_dataset_builder

        url = tiny_imagenet_dataset_builder.URL
        url_info = tiny_imagenet_dataset_builder.Builder.url_infos[url]
        path = download(
            url,
            sha256=url_info.checksum,
            size=int(url_info.size),
            folder=folder.parent / "downloads",
            progress=progress,
        )
    with archive.open_archive(path) as files:
        official_layout = layout.read(files)
    ordered_examples = {
        split: images.in_store_order(split, examples)
        for split, examples in official_layout.splits.items()
    }
    splits = {
        split: SplitContents(
            len(examples),
            images.batches(path, examples, image_size),
            [name for name, _ in examples],
        )
        for split, examples in ordered_examples.items()
    }
    return Contents(official_layout.class_names, splits)
