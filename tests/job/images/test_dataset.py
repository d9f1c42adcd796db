from kd_keras.job.images import dataset
from kd_keras.job.recipe import recipe_files


def test_a_run_says_what_is_held_out_and_which_augmentation_is_on(
    recorder, tmp_path, monkeypatch, caplog
):
    monkeypatch.setenv("KD_KERAS_CACHE", str(tmp_path))
    screen = recorder()
    dataset.load(recipe_files.Recipe(dataset="digits", flip=True), screen)
    for line in (
        "digits: 1,438 train images in 10 classes, 359 validation images, 8x8x1",
        "  holding out 20 % of train (359 images) as validation",
        "  augmentation: crops padded by 1 pixel, mirrored at random",
    ):
        assert line in screen.lines
    assert not caplog.messages  # shown once, not logged as well
