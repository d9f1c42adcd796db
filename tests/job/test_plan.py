from kd_keras.job import plan
from kd_keras.job.recipe.recipe_files import Recipe


def learners(recipe):
    return [model for models in plan.rounds(recipe) for model in models]


def phases(models):
    return [(model.phase, model.spec) for model in models]


def test_a_plain_run_has_one_teacher_and_one_student_of_its_seed():
    recipe = Recipe(teacher="vgg13", student="vgg8", seed=5)
    assert plan.teachers(recipe) == [plan.PlannedModel("teacher", "teacher", "vgg13", 5)]
    assert plan.rounds(recipe) == [[plan.PlannedModel("student", "student", "vgg8", 5, ("kd",))]]
    assert plan.baselines(recipe) == [plan.PlannedModel("baseline", "baseline", "vgg8", 5)]


def test_several_students_are_the_last_round_with_one_baseline_a_model():
    recipe = Recipe(student=["vgg8", "resnet8"], method=["kd", "dist"], assistants=["resnet20"])
    first, last = plan.rounds(recipe)
    assert phases(first) == [("assistant-1", "resnet20")]
    assert phases(last) == [("student-1", "vgg8"), ("student-2", "resnet8")]
    assert {model.methods for model in last} == {("kd", "dist")}
    each = plan.students(Recipe(student="vgg8", method=["kd", "dist"], each_method=True))
    assert [(model.phase, model.methods) for model in each] == [
        ("student-1", ("kd",)),
        ("student-2", ("dist",)),
    ]
    assert len({model.seed for model in (*last, *each)}) == 1
    assert phases(plan.baselines(recipe)) == [("baseline-1", "vgg8"), ("baseline-2", "resnet8")]
    each_twice = Recipe(student=["vgg8", "vgg8"], method=["kd", "dist"], each_method=True)
    assert phases(plan.baselines(each_twice)) == [("baseline", "vgg8")]


def test_a_chain_goes_from_assistants_over_generations_to_the_student():
    recipe = Recipe(assistants=["resnet20", "resnet14"], student="resnet8", generations=3)
    assert phases(learners(recipe)) == [
        ("assistant-1", "resnet20"),
        ("assistant-2", "resnet14"),
        ("generation-1", "resnet8"),
        ("generation-2", "resnet8"),
        ("student", "resnet8"),
    ]


def test_models_of_one_architecture_start_from_seeds_of_their_own():
    recipe = Recipe(teacher=["resnet8", "resnet8"], generations=4, seed=3)
    assert phases(plan.teachers(recipe)) == [("teacher-1", "resnet8"), ("teacher-2", "resnet8")]
    for models in (plan.teachers(recipe), learners(recipe)):
        seeds = [model.seed for model in models]
        assert seeds[0] == 3  # as the student alone
        assert len(set(seeds)) == len(seeds)
    # Nor do two runs share the weights that any generation starts from.
    seeds = [
        model.seed for seed in range(20) for model in learners(Recipe(generations=4, seed=seed))
    ]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**31 for seed in seeds)
