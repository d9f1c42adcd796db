import pytest

from kd_keras.models.weights import check_weights


def test_weights_are_imagenet_none_or_a_file(tmp_path):
    (tmp_path / "some.h5").touch()
    for weights in (None, "none", "imagenet", str(tmp_path / "some.h5")):
        check_weights(weights)
    with pytest.raises(FileNotFoundError, match=r"'imagnet', which is not a file; expected imag"):
        check_weights("imagnet")
