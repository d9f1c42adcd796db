"""`kdk cache`: a teacher's outputs on disk, for every student that shows the same views."""

import re
from pathlib import Path
from typing import Any

from kd_keras.cli import errors, quiet
from kd_keras.cli import options as options_of
from kd_keras.job import cache_command, recipe_files
from kd_keras.results import screen


def _run(
    recipe_name: str | None,
    sets: tuple[str, ...],
    out: str | None,
    taps: str | None,
    top_k: int | None,
    cache_dtype: str,
    shard: str,
    verify: bool,
    **options: Any,
) -> None:
    resolved = recipe_files.resolve(recipe_name, options_of.given(options), sets)
    makers = _shard(shard)
    quiet.import_tensorflow()
    from kd_keras.job import make_cache

    make_cache.run(
        resolved,
        folder=None if out is None else Path(out).expanduser(),
        taps=tuple(taps.split("+")) if taps else (),
        top_k=top_k,
        dtype=cache_dtype,
        shard=makers,
        verify=verify,
        screen=screen.Screen(),
    )


def _shard(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if found is None or not int(found[1]) < int(found[2]):
        raise ValueError(f"shard is {text!r}; expected i/n with i from 0 to n - 1, such as 0/4.")
    return int(found[1]), int(found[2])


command = errors.traceback_option(
    options_of.Sectioned(
        "cache",
        callback=_run,
        help="""Run a teacher over all views of the training images once and keep what it says.

        The teacher is a trained model's file, a SavedModel folder or an .onnx file. `kdk train`
        with the same teacher, data and views finds the cache of a Keras model by itself, unless
        --out, --top-k or another precision is given; --teacher cache:FOLDER reads any.""",
        params=[
            *options_of.of_recipe(),
            options_of.Option(
                ["--out"], metavar="FOLDER", help="where [beside the stores, named by content]"
            ),
            options_of.Option(
                ["--taps"], metavar="NAME+NAME", help="outputs beside the logits, such as pooled"
            ),
            options_of.Option(
                ["--top-k"], type=int, metavar="N", help="keep the N largest logits [all]"
            ),
            options_of.Option(
                ["--cache-dtype"],
                metavar="[float16|float32]",
                default="float16",
                help="of what is kept [float16]",
            ),
            options_of.Option(
                ["--shard"],
                metavar="I/N",
                default="0/1",
                help="make the I-th of N parts; all N may be made at once [0/1]",
            ),
            options_of.Option(
                ["--verify"],
                is_flag=True,
                help="check the data's contents and a sample of the cache",
            ),
            *options_of.of_fields(cache_command.FIELDS),
        ],
    )
)
