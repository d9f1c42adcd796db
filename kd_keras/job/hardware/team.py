"""Screens of a run on several machines: the first machine shows everything, others warnings."""

from kd_keras.job.hardware import tf_config
from kd_keras.results.terminal.screen import Screen


class Silent(Screen):
    """A screen that shows warnings alone."""

    def __init__(self) -> None:
        super().__init__(quiet=True)

    def result(self, text: str) -> None:
        """Nothing: the first machine shows it."""


def screen(screen: Screen) -> Screen:
    """The screen of this process; a silent one on all machines but the first.

    Raises ValueError for a TF_CONFIG of another form than TensorFlow's.
    """
    task = tf_config.read()
    if task is None:
        return screen
    # Printed by all, before they wait for each other.
    screen.say(f"machine {task.process_index + 1} of {task.num_processes}, by {tf_config.NAME}")
    return screen if task.process_index == 0 else Silent()
