"""The whole examination of `kdk doctor`."""

from pathlib import Path

from kd_keras.job.doctor import data_files, machine, software
from kd_keras.job.doctor.finding import FINE, MISSING, WRONG, Finding
from kd_keras.results.terminal.screen import Screen


def doctor(*, data_dir: str | Path | None = None) -> list[Finding]:
    """Looks at everything that training and the other commands need; changes nothing.

    Args:
        data_dir: folder with Tiny ImageNet, beside the usual places.

    Returns:
        Findings on software, machine, data and network. Training is possible if none is "wrong".
    """
    folder = None if data_dir is None else Path(data_dir).expanduser()
    return [*software.findings(), *machine.findings(), *data_files.findings(folder)]


def show(findings: list[Finding], screen: Screen) -> None:
    """Shows a line for each finding, with what to do below it; a quiet screen shows no fine one."""
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        line = f"{finding.state:<7}  {finding.name:<{width}}  {finding.text}"
        if finding.state == FINE:
            screen.say(line)
        else:
            screen.result(line)
            screen.result(f"           -> {finding.remedy}")
    screen.result(_summary(findings))


def _summary(findings: list[Finding]) -> str:
    wrong_names = dict.fromkeys(finding.name for finding in findings if finding.state == WRONG)
    missing_names = dict.fromkeys(finding.name for finding in findings if finding.state == MISSING)
    if wrong_names:
        return f"kdk train cannot run here: fix {', '.join(wrong_names)}."
    if missing_names:
        return f"kdk train can run here. Missing, for some commands: {', '.join(missing_names)}."
    return "kdk train can run here, and nothing is missing."
