"""`kdk cache`: saves a teacher's outputs for all students that see the same views."""

import functools
import re
from pathlib import Path
from typing import Any

import click

from kd_keras.cli import output, quiet, shared_options
from kd_keras.cli.sections import Option, Sectioned
from kd_keras.job.cache import cache_command
from kd_keras.job.recipe import old_spelling, recipe_files


def _run(
    recipe_name: str | None,
    sets: tuple[str, ...],
    out: str | None,
    taps: tuple[str, ...],
    top_k: int | None,
    cache_dtype: str,
    shard: str | None,
    verify: bool,
    list_: bool,
    prune: bool,
    older_than: float | None,
    yes: bool,
    **options: Any,
) -> None:
    if (older_than is not None or yes) and not prune:
        raise ValueError(
            "--older-than or --yes is given without --prune; expected them together. Give --prune "
            "as well."
        )
    if list_ or prune:
        from kd_keras.cli import cache_list

        cache_list.run(prune=prune, older_than=older_than, yes=yes)
        return
    recipe = recipe_files.resolve(recipe_name, shared_options.set_options(options), sets)
    own_shard = None if shard is None else _shard(shard)
    quiet.import_tensorflow()
    from kd_keras.job.cache import make_cache

    folder = make_cache.run(
        recipe,
        folder=None if out is None else Path(out).expanduser(),
        taps=_names(taps),
        top_k=top_k,
        dtype=cache_dtype,
        shard=own_shard,
        verify=verify,
        screen=output.screen(),
    )
    output.document({"folder": folder, **make_cache.summary(folder)})


def _names(taps: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(name for text in taps for name in text.split("+"))
    if len(names) > len(taps):
        old_spelling.warn(f"--taps is {'+'.join(taps)}. Give --taps again for each name.")
    return names


def _shard(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or not int(match[1]) < int(match[2]):
        raise ValueError(f"shard is {text!r}; expected i/n with i from 0 to n - 1, such as 0/4.")
    return int(match[1]), int(match[2])


_FolderOption = functools.partial(Option, section="Cache folder")

command = output.command(
    Sectioned(
        "cache",
        callback=_run,
        help=f"""Run a teacher once over all views of the training images and save its outputs.

        The teacher is a trained model's file, a SavedModel folder or an .onnx file. `kdk train`
        with the same teacher, data and views finds the cache of a Keras model by itself, unless
        --out, --top-k or another precision is given; --teacher cache:FOLDER reads any cache.
        {shared_options.LISTS}

        With --list or --prune, no teacher runs: they are about all that lies in the cache folder,
        $KD_KERAS_CACHE or ~/.cache/kd_keras.""",
        params=[
            *shared_options.recipe_options(),
            Option(["--out"], metavar="FOLDER", help="cache folder [named by content]"),
            Option(
                ["--taps"],
                metavar="NAME",
                multiple=True,
                help="feature to save, such as pooled, or output of a teacher without classes",
            ),
            Option(["--top-k"], type=int, metavar="N", help="save the N largest logits [all]"),
            Option(
                ["--cache-dtype"],
                metavar="[float16|float32]",
                default="float16",
                help="dtype of saved outputs [float16]",
            ),
            Option(
                ["--shard"],
                metavar="I/N",
                help="make the I-th of N parts; all N may be made at once [0/1, or by TF_CONFIG]",
            ),
            Option(
                ["--verify"],
                is_flag=True,
                help="check the data's contents and a sample of the cache",
            ),
            _FolderOption(
                ["--list", "list_"], is_flag=True, help="list stores, teacher caches and scores"
            ),
            _FolderOption(
                ["--prune"],
                is_flag=True,
                help="remove what is stale or unfinished, after showing it and asking; never what "
                "is in use",
            ),
            _FolderOption(
                ["--older-than"],
                type=click.FloatRange(min=0),
                metavar="DAYS",
                help="with --prune: also what did not change for that long [never]",
            ),
            _FolderOption(["--yes"], is_flag=True, help="with --prune: do not ask"),
            *shared_options.field_options(cache_command.FIELDS),
        ],
    )
)
