import html.parser
import re

import pytest

from kd_keras.results.page import page, plots
from kd_keras.results.page.page_elements import (
    Bars,
    Code,
    Picture,
    Pictures,
    Section,
    Table,
    Text,
)


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"

    def paint(figure):
        figure.subplots().plot([0, 1], label="<&>")

    parts = [plots.plot(n, paint, caption="<c>", columns=["y"], rows=[[0], [1]]) for n in "ab"]
    picture = Picture("data:image/png;base64,AA", "cat", [Bars("teacher", {"dog & co": 0.25})])
    parts = [
        *parts,
        Text("a <b> text, --an-option, `x < y` and a - - b", "bad"),
        Table(["model", "%"], [["x", 1], ["y", None]], "<caption>", strong=[0]),
        Table(["model"], [["x"]], summary="All <models>"),
        Code("kdk --x <y>"),
        Pictures([picture]),
    ]
    sections = [Section("one", "The first", parts)]
    head = [Text("A lead", "lead")]
    page.write(
        path, title="<script>x</script>", subtitle="s", head=head, sections=sections, footer="f"
    )
    return path.read_text()


def test_it_needs_no_other_file_and_no_script(text):
    assert "<script" not in text
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", text)
    assert not re.findall(r"@import|url\((?!#)", text)


def test_what_a_user_named_is_escaped(text):
    for escaped in ("&lt;script&gt;", "a &lt;b&gt; text", "&lt;caption&gt;", "dog &amp; co"):
        assert escaped in text
    assert '<p class="caption">&lt;caption&gt;</p>' in text


def test_options_and_what_is_in_backquotes_are_code(text):
    assert "text, <code>--an-option</code>, <code>x &lt; y</code> and a - - b</p>" in text


def test_a_missing_value_is_a_dash_and_a_row_may_be_stressed(text):
    assert re.search(r'<tr class="strong"><td class="left">x</td><td>1</td></tr>', text)
    assert re.search('<td class="left">y</td><td>\u2013</td>', text)


def test_every_element_is_closed_and_every_name_is_unique(text):
    class Parser(html.parser.HTMLParser):
        open, names = [], []

        def handle_starttag(self, tag, attributes):
            self.names += [value for name, value in attributes if name == "id"]
            if tag not in ("meta", "img", "br"):
                self.open.append(tag)

        def handle_endtag(self, tag):
            assert self.open.pop() == tag

    parser = Parser()
    parser.feed(text)
    assert parser.open == []
    assert len(parser.names) == len(set(parser.names)) > 2


def test_a_drawing_takes_the_colours_of_the_page(text):
    drawing = text[text.index("<svg") : text.index("</svg>")]
    assert "var(--ink)" in drawing
    names = set(re.findall(r"var\(--(\w+)\)", drawing))
    style = text[text.index("<style>") : text.index("</style>")]
    assert all(f"--{name}:" in style for name in names)
