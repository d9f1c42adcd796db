"""A local page for a browser: drop a picture, see the answers of a run's models side by side."""

import dataclasses
import importlib
import importlib.util
import io
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from kd_keras.exports.metadata import Metadata
from kd_keras.exports.runtimes import Classifier
from kd_keras.exports.runtimes.scores import Scores
from kd_keras.job.prediction import opened_model, predictor
from kd_keras.job.prediction.images_to_predict import Item
from kd_keras.job.recipe import recipe_files
from kd_keras.results.phase_names import display_name

HOST = "127.0.0.1"  # this machine alone
DEFAULT_PORT = 7860
TOP = 5  # classes that are shown
_ORDER = ("teacher", "baseline", "assistant", "generation", "student")


def serve(
    run: str | Path,
    *,
    port: int = DEFAULT_PORT,
    open_browser: bool = True,
    wait: bool = True,
    ready: Callable[[str], None] = lambda address: None,
) -> Any:
    """Serves the page of a finished run until Ctrl-C.

    Args:
        run: name or path of the run, whose models were saved in it.
        port: port on this machine.
        open_browser: whether to open the page in a browser.
        wait: whether to wait for Ctrl-C; otherwise the caller ends the server (`.close()`).
        ready: called with the page's address once it can be opened.

    Returns:
        Gradio's page.

    Raises:
        ValueError: no finished run, Gradio is not installed, or the port is in use.
    """
    check(run, port)
    gradio = _gradio()
    models = timed_models(recipe_files.run_folder(str(run)))
    page = _page(gradio, models, title=Path(run).name)
    page.launch(
        # Gradio's own themes take their fonts from another host.
        theme=gradio.themes.Base(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
        server_name=HOST,
        server_port=port,
        inbrowser=open_browser,
        quiet=True,
        share=False,
        prevent_thread_lock=True,
        footer_links=[],
    )
    ready(f"http://{HOST}:{port}")
    if wait:
        page.block_thread()
    return page


def check(run: str | Path, port: int) -> None:
    """Raises ValueError, as `serve` does, for what is known before any model is opened."""
    _check_finished(recipe_files.run_folder(str(run)))
    _check_port(port)
    if importlib.util.find_spec("gradio") is None:
        raise ValueError(
            "the page needs Gradio, which is not installed. Run pip install 'kd-keras[app]'."
        )


@dataclasses.dataclass
class TimedModel:
    """A model of a run that answers for one picture at a time, and how long it takes.

    Attributes:
        name: what people call the model.
        predict: reads a file as in training and runs the model.
    """

    name: str
    predict: predictor.Predictor
    clock: "_Clock"

    def __call__(self, file: str | Path) -> tuple[dict[str, float], float]:
        """The most probable classes of an image file with their probabilities, and milliseconds.

        The time is that of the model alone, without reading the file.

        Raises:
            ValueError: the file is not an image that can be read.
        """
        item = Item(str(file), Path(file))
        (answer,) = self.predict.stream([item], top=TOP)
        if answer.error:
            raise ValueError(answer.error)
        probabilities = dict(zip(answer.classes, answer.probabilities, strict=True))
        return probabilities, self.clock.milliseconds


def timed_models(run: Path) -> list[TimedModel]:
    """The models that a finished run saved: teacher, student alone, distilled students.

    Raises:
        ValueError: the folder is not a finished run.
    """
    _check_finished(run)
    files = [file for file in run.glob("*.keras") if file.stem.split("-")[0] in _ORDER]
    files.sort(key=lambda file: (_ORDER.index(file.stem.split("-")[0]), file.stem))
    return [_timed_model(file) for file in files]


class _Clock:
    """A classifier that stores the duration of its last call."""

    def __init__(self, classifier: Classifier) -> None:
        self.path, self.format = classifier.path, classifier.format
        self.metadata: Metadata = classifier.metadata
        self.milliseconds = 0.0
        self._classifier = classifier

    def __call__(self, images: np.ndarray) -> Scores:
        start = time.perf_counter()
        scores = self._classifier(images)
        self.milliseconds = (time.perf_counter() - start) * 1e3
        return scores


def _timed_model(file: Path) -> TimedModel:
    opened_classifier = opened_model.open_model(file)
    clock = _Clock(opened_classifier.classifier)
    # Of several classes an image, the likeliest are shown too, whatever their probability.
    threshold = 0.0 if opened_classifier.metadata.multi_label else None
    predict = predictor.Predictor(
        dataclasses.replace(opened_classifier, classifier=clock), threshold=threshold
    )
    blank = io.BytesIO()
    Image.new("RGB", predict.shape[1::-1]).save(blank, "PNG")
    for _ in range(2):  # the first call compiles
        list(predict.stream([Item(None, blank.getvalue())]))
    return TimedModel(display_name(file.stem), predict, clock)


def _page(gradio: Any, models: list[TimedModel], title: str) -> Any:
    def answers(file: str | None) -> list[Any]:
        if file is None:
            return [value for _ in models for value in (None, "")]
        try:
            results = [model(file) for model in models]
        except ValueError as error:
            raise gradio.Error(str(error), duration=None) from error
        return [
            value
            for probabilities, milliseconds in results
            for value in (probabilities, f"{milliseconds:.1f} ms for this picture")
        ]

    with gradio.Blocks(title=f"{title}: teacher and student", analytics_enabled=False) as page:
        gradio.Markdown(f"# {title}\nDrop a picture: each model of the run says what it sees.")
        picture = gradio.Image(type="filepath", label="Picture", sources=["upload", "clipboard"])
        outputs = []
        with gradio.Row():
            for model in models:
                with gradio.Column():
                    outputs.append(gradio.Label(label=model.name, num_top_classes=TOP))
                    outputs.append(gradio.Markdown(""))
        picture.change(answers, picture, outputs, api_name="answers")
    return page


def _gradio() -> Any:
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    return importlib.import_module("gradio")


def _check_finished(run: Path) -> None:
    if not (run / "results.json").is_file():
        raise ValueError(
            f"{run} is not a finished run; expected a run folder with results. `kdk runs` lists "
            "the runs, `kdk train` continues an unfinished one."
        )


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        if probe.connect_ex((HOST, port)) == 0:
            raise ValueError(
                f"port {port} is in use by another program; expected a free one. Choose another "
                f"with --port, such as {port + 1}."
            )
