from kd_keras.results.page.page_elements import Plot, Section, Text


def test_plots_that_follow_each_other_are_one_group():
    a, b = Plot("a", "", "<svg/>"), Plot("b", "", "<svg/>")
    text, other = Text("t"), Text("u")
    section = Section("s", "S", [text, other, a, b, text, a])
    assert section.groups == [[text], [other], [a, b], [text], [a]]
