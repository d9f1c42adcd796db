import pytest

from kd_keras import methods
from kd_keras.job.checks import precheck
from kd_keras.job.recipe import recipe_files


@pytest.mark.parametrize("method", ["none", "uskd"])
@pytest.mark.parametrize(
    ("fields", "what"),
    [({"assistants": ["resnet14"]}, r"assistants \(resnet14\)"), ({"generations": 2}, "2 gen")],
)
def test_a_chain_needs_a_method_that_learns_from_a_teacher(method, fields, what):
    with pytest.raises(
        ValueError, match=rf"the recipe has {what}.* method {method}; .*--method kd"
    ):
        precheck.check_recipe(recipe_files.Recipe(method=method, **fields))


def test_an_unknown_model_is_named_with_the_nearest():
    for fields in ({"student": "resnet20x"}, {"teacher": ["vgg8", "resnet20x"]}):
        with pytest.raises(ValueError, match=r"model is 'resnet20x'.*Did you mean 'resnet20'"):
            precheck.check_recipe(recipe_files.Recipe(**fields))
    with pytest.raises(ValueError, match=r"model is 'vgg9'.*Did you mean 'vgg8'"):
        precheck.check_recipe(recipe_files.Recipe(assistants="vgg9"))


@pytest.mark.parametrize("name", methods.names())
def test_every_method_can_be_chosen_by_its_name_alone(name):
    recipe = recipe_files.Recipe(method=name)
    assert precheck.check_recipe(recipe) is None  # it raises nothing
    assert recipe.method == (name,)


@pytest.mark.parametrize("mixing", [{"mixup": 0.2}, {"cutmix": 1.0}])
@pytest.mark.parametrize(
    ("method", "why"),
    [
        (["kd", "dkd"], r"\['dkd'\] need integer labels"),
        (["lskd:base_method=dkd"], r"\['lskd'\] need integer labels"),
        (["crld"], r"\['crld'\] compare two views"),
    ],
)
def test_mixing_is_refused_for_methods_that_need_one_class_or_two_views(mixing, method, why):
    recipe = recipe_files.Recipe(method=method, **mixing)
    with pytest.raises(ValueError, match=rf"images are mixed .*{why}.*such as kd"):
        precheck.check_recipe(recipe)
    precheck.check_recipe(recipe_files.Recipe(method=["kd", "uskd", "lskd"], **mixing))


@pytest.mark.parametrize("role", ["student", "assistants"])
def test_a_saved_model_cannot_be_trained(tmp_path, role):
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "saved_model.pb").write_bytes(b"")
    message = (
        r"served is a SavedModel, which cannot be trained; .* give that file; a SavedModel may"
    )
    with pytest.raises(ValueError, match=message):
        precheck.check_recipe(recipe_files.Recipe(**{role: [f"{tmp_path}/served"]}))
    precheck.check_recipe(recipe_files.Recipe(teacher=f"{tmp_path}/served"))


@pytest.mark.parametrize("run", [".", "..", "./", "../", "runs/..", "/"])
def test_a_run_folder_has_a_name(run, tmp_path):
    with pytest.raises(ValueError, match=r"--run is '.*'; expected the name of a run.*--run first"):
        precheck.check_output_folders(run, tmp_path)


def test_a_run_that_exists_may_be_in_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "run").mkdir()
    precheck.check_output_folders(f"{tmp_path}/run", tmp_path / "file" / "exports")
    with pytest.raises(OSError, match=r"file is a file\. That is --export-dir"):
        precheck.check_output_folders(f"{tmp_path}/new", tmp_path / "file" / "exports")
