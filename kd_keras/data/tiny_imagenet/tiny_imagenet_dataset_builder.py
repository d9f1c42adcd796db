"""Tiny ImageNet for TensorFlow Datasets."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from kd_keras.data.tiny_imagenet import archive, layout

URL = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"


class Builder(tfds.core.GeneratorBasedBuilder):
    """Every image of the archive, its bytes unchanged; labels follow the sorted WordNet ids."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012

    def __init__(
        self,
        *,
        source: Path | None = None,
        advance: Callable[[int], None] = lambda num_done: None,
        **builder_arguments: Any,
    ):
        """Takes a zip or folder as `source`, which replaces the download."""
        self._source = source
        self._advance = advance
        super().__init__(**builder_arguments)

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
                    "label": tfds.features.ClassLabel(),  # named when the archive is read
                    "file_name": tfds.features.Text(),
                }
            ),
            supervised_keys=("image", "label"),
            homepage="http://cs231n.stanford.edu/",
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        path = archive.find(Path(self._source or dl_manager.download(URL)))
        with archive.open_archive(path) as files:
            official_layout = layout.read(files)
        self.info.features["label"].names = official_layout.class_names
        return {
            split: self._generate_examples(path, examples)
            for split, examples in official_layout.splits.items()
        }

    def _generate_examples(
        self, path: Path, examples: list[tuple[str, int]]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        with archive.open_archive(path) as files:
            for name, label in examples:
                yield name, {"image": files.read(name), "label": label, "file_name": name}
                self._advance(1)
