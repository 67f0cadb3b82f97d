"""What a person and a program read: the terminal, the three lines, and JSON that its schema describes."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from dataclasses import replace
from importlib import resources

import jsonschema
import numpy as np
import pytest
from rich.console import Console

from parity_tests import report_cases
from parity_tests.report_cases import EVERY
from ppl_parity.findings import Finding, Report, RungResult
from ppl_parity.report.terminal import TerminalReport, print_report, three_lines
from ppl_parity.report.wording import duration, labelled_lines, notes, number, summary, where
from ppl_parity.statistics.equivalence import POWER, moments

PLOTS = {
    "posterior": {"pyro": [1.0], "numpyro": ["nan"]},
    "energy": {"steps": [0], "pyro": [0.0], "numpyro": ["inf"]},
    "rows": {"difference": [0.0]},
    "coclustering": {"pyro": [[1.0]], "numpyro": [[1.0]]},
    "mixture": {"x": [[0.0, 1.0]], "beta_pyro": [[0.0, 1.0]], "beta_numpyro": [[[0.0, 1.0]]]},
    "ranks": {"ranks": {"mu": [0.5]}},
}


def schema():
    text = resources.files("ppl_parity.report").joinpath("schema.json").read_text(encoding="utf-8")
    return jsonschema.Draft202012Validator(json.loads(text))


def printed(report, width=80, encoding="utf-8", **options):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    print_report(report, Console(file=stream, width=width, highlight=False, **options), 14.2)
    stream.flush()
    return raw.getvalue().decode(encoding)


def one(finding, verdict=None, rung="density"):
    verdict = verdict or finding.verdict
    return Report("pair", verdict, (RungResult(rung, verdict, 0.1, (finding,)),), {}, {})


@pytest.mark.parametrize("name", EVERY)
def test_the_json_is_what_the_schema_says(name):
    made = EVERY[name]()
    read = json.loads(made.to_json())
    schema().validate(read)
    assert read["verdict"] == made.verdict
    assert (read["first_difference"] is None) == (made.verdict != "different")


def test_numbers_that_json_lacks_are_strings():
    read = json.loads(EVERY["hostile"]().to_json())
    finding = read["first_difference"]
    assert (finding["size"], finding["resolution"]) == ("nan", "-inf")
    assert finding["numbers"]["pyro"][1] == "nan"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda read: read.update(schema="ppl-parity/report/2"),
        lambda read: read.update(verdict="equal"),
        lambda read: read.update(extra=1),
        lambda read: read.pop("settings"),
        lambda read: read["first_difference"].pop("rung"),
        lambda read: read["rungs"][1]["findings"][0].update(size="large"),
        lambda read: read["rungs"][1]["findings"][0].pop("detail"),
        lambda read: read["rungs"][1]["findings"][1]["numbers"].pop("difference"),
        lambda read: read["rungs"][0].update(seconds=-1),
    ],
)
def test_the_schema_refuses_what_is_no_report(spoil):
    read = json.loads(EVERY["different"]().to_json())
    spoil(read)
    with pytest.raises(jsonschema.ValidationError):
        schema().validate(read)


@pytest.mark.parametrize("kind", PLOTS)
def test_the_schema_knows_what_each_plot_needs(kind):
    made = one(Finding("same", "q", "words", numbers={"plot": kind, **PLOTS[kind]}))
    schema().validate(made.as_dict())
    lacking = dict(list(PLOTS[kind].items())[:-1])
    with pytest.raises(jsonschema.ValidationError):
        schema().validate(one(Finding("same", "q", "words", numbers={"plot": kind, **lacking})).as_dict())


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_terminal_shows_every_rung_and_the_conclusion(name, width):
    made = EVERY[name]()
    text = printed(made, width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    assert "\x1b" not in text  # colour is for terminals, and so are escapes of a model's own
    for rung in made.rungs:
        assert any(rung.name in line and rung.verdict in line for line in lines)
    for label, _ in labelled_lines(made):
        assert any(line.strip().startswith(label) for line in lines)


def test_a_terminal_is_coloured_and_markup_of_a_model_is_text():
    text = printed(EVERY["hostile"](), force_terminal=True, color_system="standard")
    assert "\x1b[1;31m" in text
    assert "\x1b[0m[red]" not in text
    odd = one(Finding("different", "q", "[bold]odd[/bold] \x1b[31mred", "a[b]"))
    assert "[bold]odd[/bold] \ufffd[31mred" in printed(odd)


def test_a_terminal_without_unicode():
    text = printed(one(Finding("different", "q", "\u03b8 differs", "\u03b8")), encoding="ascii")
    assert "x different" in text
    assert "\\u03b8 differs" in text


def test_rungs_that_were_asked_for_and_not_reached_are_named():
    text = printed(EVERY["different"]())
    assert "not run" in text
    assert "gradient" in text


def test_the_rest_worth_knowing_is_listed_briefly():
    text = " ".join(printed(EVERY["different"]()).split())
    assert "density, tau: HalfCauchy of tau differs by the constant log 2" in text
    noted = tuple(Finding("same", "q", f"offset {i}", "mu", notable=True) for i in range(9))
    many = Report("pair", "same", (RungResult("density", "same", 0.1, noted),), {}, {})
    assert "and 3 more, in the JSON and HTML reports" in printed(many)


def test_a_remark_of_many_sites_is_one_line():
    def split(site, shape="(3,)"):
        return Finding("same", "split", f"The split of {site!r} is {shape}.", site, notable=True)

    found = (
        *map(split, "abcdef"),
        split("g", "(4,)"),
        *map(split, "hh"),
        split("i", "(5,)"),
        split("j", "(5,)"),
    )
    rung = RungResult("structure", "same", 0.1, (*found, Finding("same", "q", "Of all.", notable=True)))
    folded = notes(Report("pair", "same", (rung,), {}, {}))
    assert [finding.detail for _, finding in folded] == [
        "The split of 'a' is (3,). The same holds of 'b', 'c' and 4 more.",
        "The split of 'g' is (4,).",
        "The split of 'i' is (5,). The same holds of 'j'.",
        "Of all.",
    ]
    assert {name for name, _ in folded} == {"structure"}


@pytest.mark.parametrize("name", EVERY)
def test_three_lines_are_three(name):
    lines = three_lines(EVERY[name]()).splitlines()
    assert len(lines) == 3
    assert all(line[:12].strip().endswith(":") for line in lines)


def test_three_lines_of_a_difference_say_where_how_much_and_why():
    where_, much, why = three_lines(EVERY["different"]()).splitlines()
    assert "rung density, site y, row " in where_
    assert "at the point 'prior 3 of pyro'" in where_
    assert "nats at row" in much
    assert "Anything above 1e-9 nats would be seen" in much
    assert "variance" in why
    assert "no known pattern; compare how the two models write site mu" in three_lines(
        one(Finding("different", "q", "It differs.", "mu"))
    )


def test_three_lines_of_a_same_state_its_resolution():
    compared, exactly, by_samples = three_lines(EVERY["same"]()).splitlines()
    assert "8 rungs" in compared
    assert "3e-14 (density)" in exactly
    assert "0.11 posterior sd (posterior), 0.06 (assignments)" in by_samples
    assert "no mean apart by 0.15 sd or more, no spread by 17 % (the margin); a difference of" in by_samples
    assert f"with a probability of {100 * POWER:.0f} % at least" in by_samples
    quick = report_cases.report("quick", report_cases.structure())
    assert "no sampling rung was run" in three_lines(quick)


def test_a_spread_at_the_margin_is_as_much_wider_as_is_said():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(1, 400_000, 1)), 1.113 * rng.normal(size=(1, 400_000, 1))
    _, spread, _ = moments(a, b, independent=True)
    assert abs(spread.difference[0]) == pytest.approx(0.15, abs=0.005)


def test_a_resolution_is_certain_only_where_numbers_are_exact():
    found = Finding("different", "q", "It differs.", "mu", 0.3, 0.2, numbers={"unit": "sd"})
    assert "A difference of 0.2 sd would be found, with a probability of" in three_lines(
        one(found, rung="forward")
    )
    for rung in ("density", "assignments"):
        assert "Anything above 0.2 sd would be seen." in three_lines(one(found, rung=rung))


def test_no_margin_is_claimed_where_a_difference_was_let_pass():
    found = [
        Finding("same", "mean", "", "mu", 0.1, 0.2),
        Finding("same", "mean", "Known.", "nu", 0.9, notable=True),
    ]
    for findings, told in ((found[:1], True), (found, False)):
        rung = RungResult("posterior", "same", 0.1, tuple(findings))
        assert ("(the margin)" in three_lines(Report("pair", "same", (rung,), {"margin": 0.15}, {}))) == told


def test_three_lines_of_an_unresolved_say_what_to_do():
    assert "--budget" in three_lines(EVERY["unresolved"]())
    assert "known_differences" in three_lines(one(Finding("unresolved", "q", "Other shapes.", "mu")))
    deferred = one(Finding("unresolved", "sites", "The sites differ.", deferred=True), rung="structure")
    assert "sampling rungs" in three_lines(deferred)
    assert "Worth knowing" in printed(deferred)
    hinted = Finding(
        "unresolved", "sites", "The sites differ.", hint="a renamed site (give rename)", deferred=True
    )
    told = three_lines(one(hinted, rung="structure"))
    assert "--level standard" in told
    assert "Probably a renamed site (give rename)." in told
    climbed = tuple(RungResult(name, "same", 0.1, ()) for name in ("forward", "posterior"))
    made = one(hinted, rung="structure")
    assert "--level standard" not in three_lines(replace(made, rungs=made.rungs + climbed))
    assert "no finding says where" in three_lines(Report("pair", "unresolved", (), {}, {}))


def test_more_time_is_asked_for_only_where_a_difference_was_measured():
    judged = Finding("unresolved", "prior mean", "It could differ.", "mu", 0.1, 0.3)
    assert "--budget" in three_lines(one(judged, rung="forward"))
    refused = Finding("unresolved", "prior draws", "The models cannot be drawn from.", "mu")
    assert "--budget" not in three_lines(one(refused, rung="forward"))


def test_a_rung_in_a_few_words():
    sites = tuple(Finding("same", "q", "d", site, 3e-14, numbers={"points": 24}) for site in "abcd")
    rung = RungResult("density", "same", 0.1, sites)
    assert summary(rung) == "4 sites, 24 points, largest difference 3e-14"
    worse = replace(sites[0], verdict="different", size=0.5)
    assert summary(replace(rung, verdict="different", findings=(worse, *sites))) == "a differs, by up to 0.5"
    apart = tuple(replace(each, verdict="different") for each in sites)
    words = summary(replace(rung, verdict="different", findings=apart))
    assert words == "4 of 4 comparisons differ, by up to 3e-14"
    assert summary(replace(rung, findings=())) == "nothing was compared"
    joint = Finding("same", "log joint", "d", size=1e-14, numbers={"sites": {"a": 0.0, "b": 0.0}})
    assert summary(replace(rung, findings=(joint,))) == "2 sites, largest difference 1e-14"
    own = replace(sites[0], numbers={"summary": "4 chains"})
    assert summary(replace(rung, findings=(own,))) == "4 chains"


def test_the_largest_is_of_one_unit_and_no_offset():
    offset = Finding("same", "q", "d", "a", 0.69, notable=True)
    nats = [Finding("same", "q", "d", site, 1e-9) for site in "ab"]
    other = Finding("same", "q", "d", "c", 5.0, numbers={"unit": "steps"})
    rung = RungResult("density", "same", 0.1, (offset, *nats, other))
    assert summary(rung).endswith("largest difference 1e-9")


@pytest.mark.parametrize(
    ("size", "magnitude", "text"),
    [(256.0, 1e18, "256 in 1.00e18"), (2e-12, 600.0, "2e-12"), (0.5, None, "0.5"), (0.5, 0.2, "0.5")],
)
def test_a_difference_of_huge_numbers_is_set_beside_them(size, magnitude, text):
    numbers = {} if magnitude is None else {"magnitude": magnitude}
    made = one(Finding("same", "q", "d", size=size, resolution=1e9, numbers=numbers))
    assert summary(made.rungs[0]) == f"largest difference {text}"
    assert f"largest difference {text} (density)." in three_lines(made)


def test_a_place_in_words():
    assert where("dynamics", Finding("different", "q", "d", index=(3,))) == (
        "rung dynamics, the model as a whole, step 3"
    )
    assert where("density", Finding("different", "q", "d", "x", index=(1, 2))).endswith(
        "site x, index [1, 2]"
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (3.02e-14, "3e-14"),
        (0.69314, "0.693"),
        (12345.6, "12346"),
        (3.1e7, "3.10e7"),
        (-0.5, "-0.5"),
        (float("nan"), "nan"),
        (float("-inf"), "-infinite"),
        (np.float64(2e-5), "2e-5"),
    ],
)
def test_numbers_in_words(value, text):
    assert number(value) == text


def test_a_remark_is_no_comparison():
    remark = Finding("same", "formulation", "NUTS ran on another formulation.", notable=True)
    offset = Finding("same", "log density", "They differ by a constant.", size=0.7, notable=True)
    compared = [Finding("same", "mean", "", size=0.1, resolution=0.2) for _ in range(2)]
    rung = RungResult("posterior", "same", 0.1, (remark, offset, *compared))
    assert summary(rung).startswith("3 comparisons, ")
    assert "1 rung, 3 comparisons" in three_lines(Report("pair", "same", (rung,), {}, {}))


def test_durations_in_words():
    assert [duration(each) for each in (0.084, 1.42, 14.2, 125)] == ["0.08 s", "1.4 s", "14 s", "2 min 05 s"]


def test_a_duration_is_never_broken_over_two_lines():
    slow = Finding("unresolved", "q", "The sampler of numpyro gave no answer in 12.3 s and was ended.", "mu")
    noted = Finding("same", "q", "It took 2 min 05 s longer than that of pyro.", "mu", notable=True)
    made = Report("pair", "unresolved", (RungResult("density", "unresolved", 0.1, (slow, noted)),), {}, {})
    for width in range(40, 121):
        text = printed(made, width)
        assert max(map(len, text.splitlines())) <= width
        for whole in ("14 s", "12.3 s", "2 min 05 s"):
            assert whole in text, (width, whole)


def test_progress_is_for_terminals_only():
    for terminal in (False, True):
        stream = io.StringIO()
        console = Console(file=stream, force_terminal=terminal, width=40)
        with TerminalReport(console) as shown:
            shown.progress("density: [red]" + 60 * "long ")
            console.print("between")
        assert ("density: [red]long" in stream.getvalue()) == terminal
        assert "between" in stream.getvalue()


@pytest.mark.parametrize("name", EVERY)
def test_lines_that_are_printed_as_rungs_end_are_those_of_the_report(name):
    report, stream = EVERY[name](), io.StringIO()
    console = Console(file=stream, width=80, highlight=False)
    with TerminalReport(console) as shown:
        for rung in report.rungs:
            before = stream.getvalue()
            shown.finished(rung)
            assert rung.name in stream.getvalue().removeprefix(before)
        shown._started = time.monotonic() - 14.2  # as ``printed`` says
        shown.print_report(report)
    both = [[line.rstrip() for line in text.splitlines()] for text in (stream.getvalue(), printed(report))]
    assert both[0] == both[1]


@pytest.mark.parametrize(
    ("rungs", "said"),
    [
        (["structure", "gradient"], "Nothing differs on the rungs that were run"),
        (["forward"], "Nothing differs on the rungs that were run"),
        (["density"], "The two models are the same"),
        (["forward", "posterior"], "The two models are the same"),
    ],
)
def test_a_few_rungs_do_not_make_two_models_the_same(rungs, said):
    whole = EVERY["same"]()
    part = replace(whole, rungs=tuple(RungResult(name, "same", 0.1, ()) for name in rungs))
    assert f"{said}." in printed(part)


def test_the_status_line_goes_away_after_an_error():
    console = Console(file=io.StringIO(), force_terminal=True)
    shown = TerminalReport(console)
    with pytest.raises(ValueError, match="oops"), shown:
        raise ValueError("oops")
    assert shown._status is None
    shown.print_report(EVERY["same"]())
    assert "The two models are the same" in console.file.getvalue()


def test_importing_loads_no_backend_and_nothing_slow():
    code = "import sys, ppl_parity.report.terminal, ppl_parity.report.html\n"
    code += "print([name for name in 'torch jax matplotlib arviz xarray'.split() if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
