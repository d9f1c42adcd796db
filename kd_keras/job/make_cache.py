"""The whole job of `kdk cache`: a teacher run over all views of the training images."""

from collections.abc import Sequence
from pathlib import Path

from kd_keras.data.store import Dataset
from kd_keras.graph.precision import best_precision
from kd_keras.job import adjustment, build, cached_teacher, dataset
from kd_keras.job.recipe_files import Recipe
from kd_keras.models import custom_objects
from kd_keras.results import paths
from kd_keras.results.screen import Screen
from kd_keras.teacher_cache import file_format, fingerprint, keras_teacher, onnx_teacher, writer
from kd_keras.teacher_cache.reader import Cache
from kd_keras.teacher_cache.writer import Ask


def run(
    asked: Recipe,
    *,
    folder: Path | None = None,
    taps: Sequence[str] = (),
    top_k: int | None = None,
    dtype: str = "float16",
    shard: tuple[int, int] = (0, 1),
    verify: bool = False,
    screen: Screen | None = None,
) -> Path:
    """Does what `kdk cache` says and returns the cache's folder.

    Args:
        asked: the recipe; its data, views and teacher count.
        folder: where; None lets it follow from what is cached, so that runs find it.
        taps: of the teacher, kept beside its logits.
        top_k: logits of each row to keep; None keeps all.
        dtype: "float16" or "float32", of what is kept.
        shard: (i, n), which of n parts to make.
        verify: check the data's contents; of a finished cache, compute a sample again and compare.
        screen: where lines and bars go.

    Raises:
        ValueError, FileNotFoundError, OSError: what is wrong, what was expected, what to do.
    """
    screen = screen or Screen()
    if not asked.views:
        raise ValueError(
            "views is 0, a new view of each image every epoch; expected how many views to cache. "
            "Give --views, such as --views 5, and train with as many."
        )
    custom_objects.register(asked.imports)
    precision = best_precision() if asked.precision == "auto" else asked.precision
    asked, data = adjustment.loaded(asked, screen, verify=verify)
    data = data or dataset.load(asked, screen, verify=verify)
    name, ask, outputs = _teacher(asked, data, taps, precision)
    if isinstance(ask, onnx_teacher.OnnxTeacher):
        precision = ""  # its file's own, whatever that is
    header = writer.header_for(
        data,
        teacher=name,
        outputs=outputs,
        views=asked.views,
        view_seed=asked.view_seed,
        precision=precision,
        dtype=dtype,
        top_k=top_k,
        about={"teacher": " ".join(asked.teacher)},
    )
    folder = folder or cached_teacher.folder_of(header, data.train.ids)
    writer.require_same(folder, header, data.train.ids)
    if not writer.is_complete(folder, header):
        cached_teacher.made(folder, header, data, ask, screen, shard=shard)
    shown = paths.shown_with_size(folder)
    if writer.is_complete(folder, header):
        cache = Cache(folder, views=header.views)
        cache.require(header, data.train.ids)
        screen.say(f"cache: {shown}, complete, every part's hash checked")
        if verify:
            error = writer.verify(cache, data.train, ask)
            screen.say(f"verified: a sample computed again differs by {error:.2g} (relative L2)")
    else:
        screen.say(f"cache: {shown}, this part complete, others not yet")
    return folder


def _teacher(
    asked: Recipe, data: Dataset, taps: Sequence[str], precision: str
) -> tuple[str, Ask, dict[str, tuple[int, ...]]]:
    """The recipe's teacher: what tells it apart, how it is asked, and the shapes of its answers."""
    if build.cache_of(asked):
        raise ValueError(
            f"the teacher is {asked.teacher[0]!r}, a cache already; expected a model. Train from "
            "it with kdk train, or give --teacher FILE."
        )
    several = len(asked.teacher) > 1
    if several and any(spec.endswith(".onnx") for spec in asked.teacher):
        raise ValueError(
            f"the teachers are {list(asked.teacher)}; expected an ONNX file alone, or models of "
            "Keras. Give one --teacher."
        )
    if asked.teacher[0].endswith(".onnx"):
        teacher = onnx_teacher.OnnxTeacher(
            Path(asked.teacher[0]).expanduser(),
            preprocess=asked.teacher_preprocess,
            image_size=asked.teacher_image_size,
            classes=build.order_of_classes(asked, data),
        )
        if taps:
            raise ValueError(
                f"taps are {list(taps)}, and an ONNX file gives logits alone. Leave --taps out."
            )
        return teacher.fingerprint, teacher, {file_format.LOGITS: (len(data.class_names),)}
    untrained = [spec for spec in asked.teacher if not build.is_file(spec)]
    if untrained:
        raise ValueError(
            f"the teacher is {untrained[0]!r}, a model that is not trained yet; expected a file. "
            "Train it with kdk train and give --teacher runs/NAME/teacher.keras."
        )
    model = build.make_teacher(asked, data)
    ask = keras_teacher.ask_of(model, taps, precision=precision)
    return fingerprint.fingerprint(model), ask, cached_teacher.outputs_of(model, taps)
