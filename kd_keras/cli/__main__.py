"""`python -m kd_keras.cli` is `kdk`."""

from kd_keras.cli import kdk

kdk(prog_name="kdk")
