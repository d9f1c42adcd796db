"""`python -m kd_keras` is `kdk`."""

from kd_keras.cli import kdk

kdk(prog_name="kdk")
