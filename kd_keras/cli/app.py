"""`kdk app`: a local page that shows the answers of a run's models to your pictures."""

import click

from kd_keras.cli import completion, output, quiet

_PORT = 7860


@click.command("app")
@click.argument("run", metavar="RUN", shell_complete=completion.run_completion())
@click.option("--port", type=int, default=_PORT, metavar="N", help=f"port of the page [{_PORT}]")
@click.option("--browser/--no-browser", default=True, help="open the page in a browser [browser]")
@output.command
def command(run: str, port: int, browser: bool) -> None:
    """Drop pictures on a local page, see teacher and students answer side by side.

    RUN is the name of a finished run in ./runs, or a path. Only this machine can open the page
    (127.0.0.1). It needs the extra "app": pip install 'kd-keras[app]'. Ctrl-C ends it.
    """
    from kd_keras.job.prediction import web_app

    web_app.check(run, port)  # before TensorFlow, whose import takes seconds
    quiet.import_tensorflow()
    screen = output.screen()
    web_app.serve(
        run,
        port=port,
        open_browser=browser,
        ready=lambda address: screen.result(f"The page is at {address}; Ctrl-C ends it."),
    )
