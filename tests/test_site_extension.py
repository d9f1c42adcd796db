"""What is made while the documentation site is built: command reference and drawings."""

import importlib
import sys
from pathlib import Path
from xml.etree import ElementTree

import click
import markdown
import pytest

from kd_keras import cli

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
site_extension = importlib.import_module("scripts.site_extension")


def html(text):
    return markdown.markdown(
        text, extensions=["attr_list", "def_list", site_extension.SiteExtension()]
    )


@pytest.fixture(scope="module")
def reference():
    return html("# Commands\n\n::: kdk\n")


def test_every_command_has_a_heading_and_every_option_its_help(reference):
    top = click.Context(cli.kdk, info_name="kdk")
    for name in cli.kdk.list_commands(top):
        command = cli.kdk.get_command(top, name)
        assert f"kdk {name}</h2>" in reference
        for option in command.get_params(top):
            if isinstance(option, click.Option) and not option.hidden:
                assert option.opts[0] in reference, f"kdk {name} {option.opts[0]}"


def test_options_are_in_the_sections_of_help_and_help_is_in_the_first(reference):
    train = reference.partition('id="kdk-train-run"')[2].partition('id="kdk-train-data"')[0]
    assert "--recipe NAME|FILE" in train
    assert "--help" in train
    assert "<code>--epochs" not in train


def test_brackets_and_angle_brackets_of_help_are_text(reference):
    assert "[tiny_imagenet]" in reference
    assert "val_&lt;method&gt;" in reference


def test_a_command_that_is_added_appears(monkeypatch):
    @click.command(epilog="Ends with 0.")
    @click.option("--loud", is_flag=True, help="in *capitals* [false]")
    def command(loud):
        """Says hello.

        \b
        kdk hello --loud
        """

    module = type(sys)("kd_keras.cli.hello")
    module.command = command
    monkeypatch.setitem(sys.modules, "kd_keras.cli.hello", module)
    monkeypatch.setitem(cli._COMMANDS, "hello", "Says hello.")
    page = html("::: kdk")
    assert "kdk hello</h2>" in page
    assert "<p>Ends with 0.</p>" in page
    assert "<dd>in *capitals* [false]</dd>" in page.replace("<p>", "").replace("</p>", "")


def test_code_has_a_class_by_its_length():
    page = html(f"`--stop-early`, `{'a' * 40}`, **`{'b' * 81}`**")
    assert '<code class="kd-short">--stop-early</code>' in page
    assert f"<code>{'a' * 40}</code>" in page
    assert f'<code class="kd-long">{"b" * 81}</code>' in page


def test_code_that_another_extension_stores_has_its_own_length():
    md = markdown.Markdown(extensions=[site_extension.SiteExtension()])
    root = ElementTree.fromstring("<p><code /></p>")
    root[0].text = md.htmlStash.store("&lt;" * 30)  # as pymdownx.inlinehilite does
    md.treeprocessors["kd_keras_code"].run(root)
    assert "class" not in root[0].attrib


def test_a_flowchart_becomes_a_drawing_of_its_boxes_and_arrows():
    page = html(
        "Before\n\n```mermaid\nflowchart TD\n    top\n    top --> left\n    top --> right\n```\n"
    )
    assert "mermaid" not in page
    assert page.count("<rect") == 3
    assert page.count("marker-end") == 2
    assert "<title>top imports left, top imports right</title>" in page


def test_a_box_lies_below_all_that_point_to_it():
    places = site_extension.site_drawing._rows([("a", "b"), ("b", "c"), ("a", "c")])
    assert places == [["a"], ["b"], ["c"]]


@pytest.mark.parametrize(
    ("edges", "message"), [("", "no line such as"), ("a --> b\nb --> a\n", "circle")]
)
def test_a_flowchart_without_rows_is_refused(edges, message):
    with pytest.raises(ValueError, match=message):
        site_extension.site_drawing.svg(f"flowchart TD\n{edges}")
