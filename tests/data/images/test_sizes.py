from kd_keras.data.images import sizes


def test_images_of_one_moderate_size_stay_as_they_are():
    assert sizes.default_size([(480, 512)] * 3) == (None, [])


def test_images_of_several_sizes_get_the_median_of_their_shorter_sides():
    side, (note,) = sizes.default_size([(10, 90), (30, 20), (40, 60)])
    assert side == 20
    assert note == (
        "images from 30x20 to 40x60 pixels are resized to 20x20 (their median side; "
        "see --image-size)"
    )


def test_photographs_get_224_pixels():
    side, (note,) = sizes.default_size([(3024, 4032), (4032, 3024), (1200, 1600)])
    assert side == 224
    assert note == (
        "images from 1200x1600 to 4032x3024 pixels are resized to 224x224 (their median side is "
        "3024; see --image-size)"
    )
    side, (note,) = sizes.default_size([(3024, 4032)] * 2)
    assert side == 224
    assert note.startswith("images of 3024x4032 pixels are resized to 224x224")


def test_a_change_of_aspect_is_reported():
    assert sizes.aspect([(8, 8), (9, 9)], "crop") == []
    assert sizes.aspect([(8, 8), (8, 9)], "squash") == [
        "1 of 2 images are not square: their aspect ratio is changed (--resize squash)"
    ]
