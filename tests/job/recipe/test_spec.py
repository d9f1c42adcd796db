import pytest

from kd_keras.job.recipe import spec


@pytest.mark.parametrize(
    ("text", "name", "knobs"),
    [
        ("kd", "kd", {}),
        ("kd:weight=0.9,temperature=4", "kd", {"weight": 0.9, "temperature": 4}),
        ("fitnet:tap=block1/conv:0", "fitnet", {"tap": "block1/conv:0"}),
        ("vgg8:batch_norm=false,width=2e0", "vgg8", {"batch_norm": False, "width": 2.0}),
        ("app:MobileNetV2", "app:MobileNetV2", {}),
        ("app:MobileNetV2:alpha=0.35", "app:MobileNetV2", {"alpha": 0.35}),
        ("tfds:cifar100:3.0.2", "tfds:cifar100:3.0.2", {}),
        ("tfds:imagenet_resized/64x64", "tfds:imagenet_resized/64x64", {}),
        ("folder:/data/a:b=c", "folder:/data/a:b=c", {}),
        ("runs/a:b/student.keras", "runs/a:b/student.keras", {}),
        ("teacher:v=2.keras", "teacher:v=2.keras", {}),
    ],
)
def test_parse_splits_names_and_knobs(text, name, knobs):
    got_name, got_knobs = spec.parse(text)
    assert (got_name, got_knobs) == (name, knobs)
    assert [type(v) for v in got_knobs.values()] == [type(v) for v in knobs.values()]


def test_an_existing_file_is_taken_whole(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine:alpha=1").mkdir()
    assert spec.parse("mine:alpha=1") == ("mine:alpha=1", {})


@pytest.mark.parametrize(
    "text", ["", "kd:", "kd:weight", "kd:weight=", "kd:=1", ":a=1", "kd:a=1,a=2", "kd:a=1,", "app:"]
)
def test_parse_refuses_what_is_no_spec(text):
    with pytest.raises(
        ValueError, match=r"is not a valid spec; expected NAME or NAME:knob=value.*Correct"
    ):
        spec.parse(text)


def test_edited_sets_and_removes_knobs_and_keeps_the_text_of_others():
    assert spec.with_knobs("kd:weight=0.90", {"temperature": 4}) == "kd:weight=0.90,temperature=4"
    assert spec.with_knobs("kd:temperature=4,weight=0.90", {"temperature": 2}) == (
        "kd:temperature=2,weight=0.90"
    )
    assert (
        spec.with_knobs("kd:temperature=4", {"temperature": 2}, replace=False) == "kd:temperature=4"
    )
    assert spec.with_knobs("kd:temperature=4", {"temperature": None}) == "kd"
    with pytest.raises(ValueError, match="'kd:weight' is not a valid spec; expected NAME"):
        spec.with_knobs("kd:weight", {"temperature": 4})
