"""The whole job of `kdk cache`: runs a teacher over all views of the training images."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kd_keras import files
from kd_keras.data.stores.store import Dataset
from kd_keras.distill import machines
from kd_keras.graph.precision import best_precision
from kd_keras.job import identity, output_paths
from kd_keras.job.cache import cache_check, cache_command
from kd_keras.job.cache.cache_options import CacheOptions
from kd_keras.job.hardware import devices, team
from kd_keras.job.images import adjustment, dataset
from kd_keras.job.models import build, cache_files, cached_teacher, embedding_teacher
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.methods import embed
from kd_keras.models import custom_objects
from kd_keras.results.terminal import paths
from kd_keras.results.terminal.screen import Screen
from kd_keras.teacher_cache import file_format, fingerprint, keras_teacher, onnx_teacher, writer
from kd_keras.teacher_cache.file_format import Header
from kd_keras.teacher_cache.reader import Cache
from kd_keras.teacher_cache.writer import TeacherFunction


def run(
    recipe: Recipe,
    *,
    folder: Path | None = None,
    taps: Sequence[str] = (),
    top_k: int | None = None,
    dtype: str = "float16",
    shard: tuple[int, int] | None = None,
    verify: bool = False,
    screen: Screen | None = None,
) -> Path:
    """Makes a cache of a teacher's outputs and returns its folder.

    Args:
        recipe: the recipe, which names the data, the views and the teacher.
        folder: the cache's folder; None takes the one where runs look for it.
        taps: names of the teacher's features to cache beside its logits; "output" alone caches
            what a teacher without classes gives, under the name "pooled".
        top_k: number of logits to keep for each view; None keeps all.
        dtype: dtype of the cached outputs, "float16" or "float32".
        shard: (i, n), which of n parts to make; None makes all, and of several processes that
            TF_CONFIG names, each one its part.
        verify: check the data's contents, and compute a sample of a finished cache again.
        screen: where lines and bars are shown.

    Raises:
        ValueError, FileNotFoundError, OSError: what is wrong, what was expected, what to do.
    """
    custom_objects.register(recipe.imports)
    options = CacheOptions(folder, taps, top_k, dtype, shard, verify)
    cache_check.check_options(recipe, options)
    screen = screen or Screen()
    if shard is not None:
        return _run(recipe, options, None, screen)
    screen = team.screen(screen)
    strategy = devices.get()
    with machines.explain_lost_machine(strategy):
        return _run(recipe, options, strategy, screen)


def _run(
    recipe: Recipe, options: CacheOptions, strategy: devices.Strategy | None, screen: Screen
) -> Path:
    """Makes the cache and returns its folder.

    Args:
        recipe: the recipe.
        options: what the cache holds.
        strategy: the strategy of several machines; None: there is one machine.
        screen: where lines are shown.
    """
    precision = best_precision() if recipe.precision == "auto" else recipe.precision
    recipe, data = _load(recipe, strategy, screen, verify=options.verify)
    for line in filter(None, map(identity.program_warning, recipe.teacher)):
        screen.say(line)
    name, run_teacher, outputs = _teacher(recipe, data, options.taps, precision)
    for line in build.describe_classes(recipe, data):
        screen.say(line)
    header = writer.header_for(
        data,
        teacher=name,
        outputs=outputs,
        views=recipe.views,
        view_seed=recipe.view_seed,
        # The precision of an ONNX file is fixed.
        precision=precision if cache_command.onnx_teacher(recipe) is None else "",
        dtype=options.dtype,
        top_k=options.top_k,
        about={"teacher": " ".join(recipe.teacher)},
    )
    folder = options.folder or cache_files.folder_of(header, data.train.ids)
    writer.require_same(folder, header, data.train.ids)
    if not writer.is_complete(folder, header):
        _write(folder, header, data, run_teacher, options.shard, strategy, screen)
    path_and_size = paths.short_path_with_size(folder)
    if not writer.is_complete(folder, header):
        screen.result(f"cache: {path_and_size}, this part complete, others not yet")
        return folder
    cache = Cache(folder, views=header.views)
    cache.require(header, data.train.ids)
    screen.result(f"cache: {path_and_size}, complete, every part's hash checked")
    if embed.OUTPUT in options.taps:
        _say_how_to_train(folder, recipe.views, screen)
    if options.verify:
        error = writer.verify(cache, data.train, run_teacher)
        screen.result(f"verified: a sample computed again differs by {error:.2g} (relative L2)")
    return folder


def _load(
    recipe: Recipe, strategy: devices.Strategy | None, screen: Screen, *, verify: bool
) -> tuple[Recipe, Dataset]:
    """The recipe, adjusted to the data, and the data; of several machines, one reads them first.

    Args:
        recipe: the recipe.
        strategy: the strategy of several machines; None: there is one machine.
        screen: where lines are shown.
        verify: whether the contents of a store are compared.
    """

    def load() -> tuple[Recipe, Dataset]:
        adjusted_recipe, data = adjustment.load_and_adjust(
            recipe, screen, verify=verify, shown_fields=cache_command.FIELDS
        )
        return adjusted_recipe, data or dataset.load(adjusted_recipe, screen, verify=verify)

    return machines.chief_first(strategy, load) if strategy else load()


def _write(
    folder: Path,
    header: Header,
    data: Dataset,
    run_teacher: TeacherFunction,
    shard: tuple[int, int] | None,
    strategy: devices.Strategy | None,
    screen: Screen,
) -> None:
    """Writes the cache: the part that `shard` names, or with a strategy each machine its part.

    Args:
        folder: folder of the cache.
        header: what the cache holds.
        data: the dataset.
        run_teacher: computes the teacher's outputs of a batch of images.
        shard: (i, n), part i of n; None: all of it.
        strategy: the strategy of several machines; None: there is one machine.
        screen: where lines are shown.
    """
    output_paths.require_folder(folder)
    if strategy:
        cache_files.write_together(folder, header, data, run_teacher, strategy, screen)
    else:
        cache_files.write(folder, header, data, run_teacher, screen, shard=shard or (0, 1))


def _say_how_to_train(folder: Path, views: int, screen: Screen) -> None:
    """Shows the options with which a student learns a cached embedding.

    Args:
        folder: folder of the cache.
        views: number of views of each image.
        screen: where lines are shown.
    """
    options = ("--teacher", f"cache:{folder}", "--views", str(views))
    screen.say(
        f"the teacher's embedding is its only output; train with {shlex.join(options)}"
        " --method embed"
    )


def summary(folder: Path) -> dict[str, Any]:
    """A cache's views, examples, outputs and bytes, and whether it is complete."""
    header = file_format.read_header(folder)
    return {
        "complete": writer.is_complete(folder, header),
        "views": header.views,
        "examples": header.examples,
        "outputs": header.outputs,
        "bytes": files.size(folder),
    }


def _teacher(
    recipe: Recipe, data: Dataset, taps: Sequence[str], precision: str
) -> tuple[str, TeacherFunction, dict[str, tuple[int, ...]]]:
    """The teacher's fingerprint, the function that computes its outputs, and their shapes.

    Args:
        recipe: the recipe.
        data: the dataset.
        taps: names of the features to store beside the logits.
        precision: what the teacher computes in, such as float32.
    """
    onnx_file = cache_command.onnx_teacher(recipe)
    if onnx_file is not None:
        return _onnx_teacher(Path(onnx_file).expanduser(), recipe, data, taps)
    if embed.OUTPUT in taps:
        tower = build.make_one_teacher(recipe.teacher[0], recipe, data, any_model=True)
        return embedding_teacher.rows(recipe, data, tower, precision=precision)
    model = build.make_teacher(recipe, data)
    form = {"multi_label": data.multi_label}
    run_teacher = keras_teacher.teacher_function(model, taps, precision=precision, **form)
    outputs = cached_teacher.outputs_of(model, taps, **form)
    return fingerprint.fingerprint(model), run_teacher, outputs


def _onnx_teacher(
    file: Path, recipe: Recipe, data: Dataset, taps: Sequence[str]
) -> tuple[str, TeacherFunction, dict[str, tuple[int, ...]]]:
    """As `_teacher`, for an ONNX file.

    Args:
        file: the ONNX file.
        recipe: the recipe.
        data: the dataset.
        taps: empty, or the name of the embedding alone.
    """
    teacher = onnx_teacher.OnnxTeacher(
        file,
        preprocess=recipe.teacher_preprocess,
        image_size=recipe.teacher_image_size,
        classes=None if taps else build.order_of_classes(recipe, data),
        multi_label=data.multi_label,
    )
    if taps:
        return embedding_teacher.onnx_rows(recipe, data, teacher)
    return teacher.fingerprint, teacher, {file_format.LOGITS: (len(data.class_names),)}
