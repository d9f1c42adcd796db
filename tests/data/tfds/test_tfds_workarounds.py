import pytest
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import downloader

from kd_keras.data.tfds import tfds_workarounds
from kd_keras.data.tiny_imagenet import tiny_imagenet_dataset_builder as tiny


def fail_with_few_tries():
    with tfds_workarounds.few_tries():
        assert downloader.MAX_RETRIES == 4
        raise OSError


def test_the_number_of_tries_is_restored_after_an_error():
    before = downloader.MAX_RETRIES
    with pytest.raises(OSError):
        fail_with_few_tries()
    assert before == downloader.MAX_RETRIES == 10


def test_the_silenced_methods_are_those_that_print():
    for name in ("_log_download_bytes", "_log_download_done"):
        assert callable(getattr(tfds.core.DatasetBuilder, name))


def test_a_quiet_builder_prints_nothing(dummy_folder, tmp_path, capfd):
    builder = tiny.Builder(source=dummy_folder, data_dir=tmp_path / "tfds")
    with tfds_workarounds.quiet(builder, show_bars=False):
        builder.download_and_prepare()
    assert capfd.readouterr().out == ""


def test_an_unknown_version_is_the_error_that_is_expected(tmp_path):
    with pytest.raises(tfds_workarounds.UnknownVersion, match="version"):
        tfds.builder("mnist:9.9.9", data_dir=tmp_path)
