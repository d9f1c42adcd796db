import numpy as np
import pytest
from PIL import Image
from scipy import stats

from kd_keras.data.augmentation.draws import Draws
from kd_keras.data.augmentation.rand_augment import OPERATIONS, RandAugment

DRAWS = Draws(np.arange(4200), 0, 0)


def test_every_operation_and_direction_is_as_likely():
    changes = RandAugment(number=2).draw(DRAWS, 8, 8)
    for place in range(2):
        operations = [image[place][0] for image in changes]
        assert stats.chisquare(np.bincount(operations, minlength=14)).pvalue > 0.001
        signs = [image[place][1] for image in changes]
        assert set(signs) == {-1.0, 1.0}
        assert stats.binomtest(signs.count(1.0), len(signs)).pvalue > 0.001


def test_the_second_operation_does_not_depend_on_the_first():
    changes = RandAugment(number=2).draw(DRAWS, 8, 8)
    table = np.zeros((14, 14))
    for (first, _), (second, _) in changes:
        table[first, second] += 1
    assert stats.chi2_contingency(table).pvalue > 0.001


def test_a_longer_list_begins_like_a_shorter_one():
    two, three = (RandAugment(number=n).draw(DRAWS, 8, 8) for n in (2, 3))
    assert [image[:2] for image in three] == two


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_an_operation_keeps_size_and_mode(photos, name, mode):
    image = Image.fromarray(photos(1)[0]).convert(mode)
    for strength in (-1.0, -0.3, 0.0, 0.3, 1.0):
        after = OPERATIONS[name](image, strength)
        assert (after.size, after.mode) == (image.size, mode)


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - {"autocontrast", "equalize"}))
def test_strength_0_changes_nothing(photos, name):
    image = Image.fromarray(photos(1)[0])
    np.testing.assert_array_equal(OPERATIONS[name](image, 0.0), image)


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - {"identity"}))
def test_the_highest_strength_changes_the_image(photos, name):
    image = Image.fromarray(photos(1, side=32)[0])
    assert not np.array_equal(OPERATIONS[name](image, 1.0), image)


def test_operations_do_what_their_names_say():
    grey = Image.fromarray(np.full((331, 331, 3), (100, 50, 200), np.uint8))
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None].repeat(4, axis=0))

    def after(name, image, strength=1.0):
        return np.asarray(OPERATIONS[name](image, strength))

    assert after("brightness", grey)[0, 0].tolist() == [190, 95, 255]  # factor 1.9
    assert after("brightness", grey, -1.0)[0, 0].tolist() == [10, 5, 20]
    moved = after("translate_x", grey)  # 150 of 331 pixels
    assert (moved[:, 181:] == 128).all()
    assert (moved[:, :181] == (100, 50, 200)).all()
    moved = after("translate_y", grey, -1.0)
    assert (moved[:150] == 128).all()
    assert (moved[150:] == (100, 50, 200)).all()
    assert after("posterize", ramp)[0].tolist() == [16 * (n // 16) for n in range(256)]
    assert after("solarize", ramp, 0.5)[0].tolist() == [*range(128), *range(127, -1, -1)]
    np.testing.assert_array_equal(after("equalize", ramp), ramp)
    low = Image.fromarray(np.arange(100, 150, dtype=np.uint8)[None])
    assert (after("autocontrast", low).min(), after("autocontrast", low).max()) == (0, 255)
    turned = after("rotate", grey, 1.0)
    assert (turned[0, 0] == 128).all()
    assert (turned[165, 165] == (100, 50, 200)).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"number": 0}, r"rand_augment: number is 0; expected a whole number >= 1 and <= 10"),
        ({"magnitude": 31}, r"rand_augment: magnitude is 31; .* >= 0 and <= 30"),
        ({"magnitude": 4.5}, r"rand_augment: magnitude is 4\.5; expected a whole number"),
    ],
)
def test_parameters_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        RandAugment(**settings)


def test_a_policy_says_what_it_does():
    assert RandAugment().describe() == "RandAugment with 2 operations at magnitude 9 of 30"
    assert RandAugment(1, 5).describe() == "RandAugment with 1 operation at magnitude 5 of 30"
