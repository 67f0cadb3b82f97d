"""The page: it escapes what it is given, draws what it can, asks no network, and a browser shows it."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest

from parity_tests.report_cases import EVERY
from ppl_parity.errors import InputError
from ppl_parity.findings import RUNGS, Finding, Report, RungResult
from ppl_parity.report import curves, envelopes
from ppl_parity.report.figures import draw
from ppl_parity.report.html import MAX_FIGURES, MAX_ROWS, QUESTIONS, flat

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars"
).split()
OFFLINE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
MAX_BYTES = 700_000


class Elements(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, text):
        super().__init__()
        self.found, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module", params=EVERY)
def page(request, tmp_path_factory):
    made = EVERY[request.param]()
    return made, made.to_html(tmp_path_factory.mktemp("page") / f"{request.param}.html")


def test_the_page_is_one_file_that_asks_for_nothing(page):
    text = page[1].read_text(encoding="utf-8")
    assert len(text) < MAX_BYTES
    elements = Elements(text)
    tags = {tag for tag, _ in elements.found}
    assert not tags & {"script", "link", "iframe", "object", "embed", "img", "form", "base"}
    policy = [attrs for _, attrs in elements.found if "http-equiv" in attrs]
    assert policy[0]["content"].startswith("default-src 'none'")
    for _, attrs in elements.found:
        assert not [name for name in attrs if name.startswith("on")]
        for name in ("src", "href", "xlink:href", "data", "action"):
            assert (attrs.get(name) or "#").startswith(("#", "data:image/png;base64,"))
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_a_notebook_shows_the_page_in_a_frame_and_a_prompt_the_three_lines(page):
    made, path = page
    ((tag, attrs),) = Elements(made._repr_html_()).found
    assert tag == "iframe"
    assert attrs["srcdoc"] == path.read_text(encoding="utf-8")
    assert repr(made) == str(made)
    assert "Rung" not in repr(made)


def test_the_page_says_what_the_report_says(page):
    made, path = page
    elements = Elements(path.read_text(encoding="utf-8"))
    assert sum(tag == "details" and "rung" in attrs.get("class", "") for tag, attrs in elements.found) == len(
        made.rungs
    )
    for rung in made.rungs:
        assert rung.name in elements.text
        for finding in rung.findings:
            assert finding.quantity in elements.text
    opened = ["open" in attrs for tag, attrs in elements.found if tag == "details" and "id" in attrs]
    assert opened == [rung.verdict != "same" for rung in made.rungs]


def test_the_page_has_the_table_of_both_posteriors(page):
    made, path = page
    text = path.read_text(encoding="utf-8")
    assert ("Both posteriors" in Elements(text).text) == (made.posteriors is not None)
    if made.pair != "kitchen sink":
        return
    table = text[text.index('<section class="posteriors">') : text.index('<section class="about">')]
    rows = [
        re.findall(r"<td[^>]*>([^<]*)</td>", line)
        for line in table.splitlines()
        if line.startswith("<tr><td")
    ]
    assert rows[0][:7] == ["theta[0]", "0.0", "1.0", "1.0", "1.0", "+1.00", "0.03"]
    assert rows[1][0] == "beta[0, 1]"
    assert re.findall(r'class="num bad">([^<]*)<', table) == ["+35.4"]  # z of 1 / hypot(0.02, 0.02)
    assert "Trouble in the draws of numpyro" in table
    assert "Trouble in the draws of pyro" not in table


def test_names_of_a_model_are_text(tmp_path):
    text = EVERY["hostile"]().to_html(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<script" not in text
    assert "<img" not in text
    assert "\x1b" not in text
    assert html.escape("<script>fetch(", quote=True) in text
    assert text.count("<svg") == 1  # the draws that are finite; the name is in it, with its dollars
    assert text.count("No picture:") == 2


def test_a_report_looks_the_same_every_time(tmp_path):
    one, two = (
        EVERY["different"]().to_html(tmp_path / name).read_text() for name in ("one.html", "two.html")
    )
    assert one == two


def test_much_of_anything_is_cut_short(tmp_path):
    rng = np.random.default_rng(0)
    draws = {"plot": "posterior", "pyro": rng.normal(size=50), "numpyro": rng.normal(size=50)}
    findings = tuple(
        Finding("same", "mean", "words", "mu", index=(i,), numbers=draws) for i in range(MAX_ROWS + 7)
    )
    made = Report("many", "same", (RungResult("posterior", "same", 1.0, findings),), {}, {})
    text = made.to_html(tmp_path / "page.html").read_text(encoding="utf-8")
    assert text.count("<svg") == MAX_FIGURES
    assert "7 more findings are in the JSON report." in text
    assert f"{MAX_ROWS - MAX_FIGURES} more pictures are left out" in text


def test_a_report_of_nothing(tmp_path):
    text = (
        Report("empty", "unresolved", (), {}, {}).to_html(tmp_path / "page.html").read_text(encoding="utf-8")
    )
    assert "Not shown either way" in text


def test_settings_are_flat_rows():
    nested = {
        "a": {"b": 1, "c": [1.0, float("nan")]},
        "d": [],
        "e": {},
        "f": np.arange(9.0),
        "g": [(0, 1), (2,)],
    }
    shown = dict(flat(nested))
    assert shown["a.b"] == "1"
    assert shown["a.c"] == "1, nan"
    assert shown["d"] == "none"
    assert shown["g"] == "[0, 1], [2]"
    assert shown["f"].endswith("(9 values)")


DRAWS = np.random.default_rng(0).normal(size=(2, 60))
GOOD = {
    "posterior": {"pyro": DRAWS[0], "numpyro": DRAWS[1]},
    "energy": {"steps": range(5), "pyro": np.zeros(5), "numpyro": np.zeros(5)},
    "rows": {"difference": [0.0, float("nan"), 2.0, "inf"]},
    "coclustering": {"pyro": np.eye(2), "numpyro": np.eye(2)},
    "mixture": {"x": DRAWS.T, "beta_pyro": np.zeros((9, 2, 2)), "beta_numpyro": np.ones((2, 2))},
    "ranks": {"ranks": {"mu": np.linspace(0.01, 0.99, 50), "plot": DRAWS[0] % 1}},
}
BAD = {
    "posterior": {"pyro": ["nan", 1.0], "numpyro": DRAWS[1]},
    "energy": {"steps": range(4), "pyro": np.zeros(5), "numpyro": np.zeros(5)},
    "rows": {"difference": [0.0, 1.0], "rows": [1]},
    "coclustering": {"pyro": np.eye(3), "numpyro": np.eye(2)},
    "mixture": {"x": DRAWS.T, "beta_pyro": np.zeros((2, 3)), "beta_numpyro": np.ones((2, 2))},
    "ranks": {"ranks": [1, 2, 3]},
}


@pytest.mark.parametrize("kind", GOOD)
def test_a_picture_of_each_kind(kind):
    svg, _ = draw({"plot": kind, **GOOD[kind]}, "<b>$mu$</b>", "one")
    assert svg.startswith("<svg viewBox=")
    assert "<b>" not in svg
    assert not re.search(r"#(d55e00|0072b2|101112|606162)", svg)  # colours are the page's
    assert len(svg) < 150_000


@pytest.mark.parametrize("kind", BAD)
def test_numbers_that_cannot_be_drawn_are_refused_in_a_sentence(kind):
    with pytest.raises(InputError, match=r"plot .*; got"):
        draw({"plot": kind, **BAD[kind]}, "mu", "one")
    with pytest.raises(InputError, match="needs"):
        draw({"plot": kind}, "mu", "one")


@pytest.mark.parametrize(
    "values",
    [np.ones(50), np.arange(50) % 3, np.full(50, 1e300), np.r_[np.zeros(49), 1e6], np.array([1.0, 2.5])],
)
def test_odd_draws_are_drawn(values):
    svg, wide = draw({"plot": "posterior", "pyro": values, "numpyro": values[::-1]}, "mu", "one")
    assert "<svg" in svg
    assert not wide


def test_many_rows_keep_their_extremes():
    difference = np.zeros(100_000)
    difference[54_321] = 7.0
    svg, _ = draw({"plot": "rows", "difference": difference}, "x", "one")
    assert "largest: row 54321, 7" in svg
    assert len(svg) < 150_000


def panels_of(draw_it, numbers):
    from matplotlib.figure import Figure

    figure = Figure()
    draw_it(figure, numbers, "y")
    figure.draw_without_rendering()
    return figure.axes


@pytest.mark.parametrize("count", [1, 2, 3, 8, 20, 21, 64, 50_000])
def test_rows_and_steps_are_counted_in_whole_numbers(count):
    steps = np.arange(count)
    drawn = panels_of(curves.rows, {"plot": "rows", "difference": np.sin(steps + 1.0)})
    energies = {"steps": steps, "pyro": np.sin(steps), "numpyro": np.sin(steps) + 1e-9 * steps}
    for axes in [*drawn, *panels_of(curves.energy, {"plot": "energy", **energies})]:
        places = axes.get_xticks()
        assert np.array_equal(places, np.round(places))
        assert [label.get_text() for label in axes.get_xticklabels()] == [f"{place:.0f}" for place in places]
        low, high = axes.get_xlim()
        assert ((low <= places) & (places <= high)).any()


@pytest.mark.parametrize("size", [2e-13, 0.3, 1e-320, 1e300])
def test_energies_that_are_equal_are_drawn_as_zero(size):
    gap = size * np.array([0, 1, 0.5, 0, 0, 1, 0])
    numbers = {"plot": "energy", "steps": np.arange(7), "pyro": np.zeros(7), "numpyro": gap}
    _, right = panels_of(curves.energy, numbers)
    line, zeros = right.get_lines()
    assert np.isfinite(line.get_ydata()).all()
    assert zeros.get_xdata().tolist() == [0, 3, 4, 6]
    assert zeros.get_label() == "0: equal to the last bit"
    words = [label.get_text() for label in right.get_yticklabels()]
    assert words.count("0") == 1
    assert len(words) >= 3  # one size beside it would be no scale


def test_energies_that_are_no_numbers_are_not_called_equal():
    nothing = np.full(5, np.nan)
    for pyro, said in ((nothing, []), (np.ones(5), ["equal to the last bit"])):
        numbers = {"plot": "energy", "steps": np.arange(5), "pyro": pyro, "numpyro": pyro}
        _, right = panels_of(curves.energy, numbers)
        assert [text.get_text() for text in right.texts] == said


def test_a_picture_of_a_trajectory_says_where_it_starts(tmp_path):
    text = EVERY["everything"]().to_html(tmp_path / "page.html").read_text(encoding="utf-8")
    captions = [
        " ".join(each.split()) for each in re.findall(r"<figcaption>(.*?)</figcaption>", text, re.DOTALL)
    ]
    assert [
        each
        for each in captions
        if each.endswith("energy, along the trajectory from &ldquo;near the mode&rdquo;")
    ]


@pytest.mark.parametrize(("n", "m"), [(100, 300), (150, 150)])
def test_the_band_of_two_samples_is_left_as_seldom_as_it_says(n, m):
    rng = np.random.default_rng(1)
    band = envelopes.two_sample_envelope(n, m)
    left = [
        _left(envelopes.two_sample_difference(*_split(rng.normal(size=n + m), n), band.at), band)
        for _ in range(2000)
    ]
    assert 0.002 < np.mean(left) < 0.02  # 0.01 expected, standard error 0.0022
    gap = envelopes.two_sample_difference(rng.normal(size=n), 1 + rng.normal(size=m), band.at)
    assert _left(gap, band)


@pytest.mark.parametrize("num_ranks", [None, 19, 99])
def test_the_band_of_ranks_is_left_as_seldom_as_it_says(num_ranks):
    rng = np.random.default_rng(2)
    band = envelopes.uniform_envelope(120, num_ranks)
    sets = rng.uniform(size=(2000, 120))
    ranks = sets if num_ranks is None else np.floor(sets * (num_ranks + 1))
    left = [_left(envelopes.uniform_difference(each, num_ranks, band.at), band) for each in ranks]
    assert 0.002 < np.mean(left) < 0.02
    assert _left(envelopes.uniform_difference(ranks[0] / 2, num_ranks, band.at), band)


def _split(values, n):
    return values[:n], values[n:]


def _left(gap, band):
    return bool(((gap < band.low - 1e-12) | (gap > band.high + 1e-12)).any())


@pytest.fixture(scope="module")
def browser():
    found = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))),
        None,
    )
    if found is None:
        reason = "no Chromium on PATH (the Debian package is called chromium)"
        if os.environ.get("PPL_PARITY_NO_SKIPS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return EVERY["everything"]().to_html(tmp_path_factory.mktemp("pictures") / "page.html")


def browse(browser, path, folder, *options):
    """The page's DOM, and the addresses that the page (not the browser itself) asked for."""
    log = folder / "net.json"
    command = [
        browser,
        *FLAGS,
        OFFLINE,
        f"--user-data-dir={folder / 'profile'}",
        f"--log-net-log={log}",
        *options,
    ]
    done = subprocess.run([*command, path.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    events = [event.get("params", {}) for event in json.loads(log.read_text())["events"]]
    asked = {each["url"] for each in events if each.get("initiator", "not an origin") != "not an origin"}
    return done.stdout, asked


def test_a_browser_shows_the_verdict_and_every_rung(browser, page, tmp_path):
    made, path = page
    dom, asked = browse(browser, path, tmp_path, "--dump-dom")
    assert asked == set()
    elements = Elements(dom)
    assert ("span", {"class": "word"}) in elements.found
    shown = [attrs["class"] for tag, attrs in elements.found if tag == "details" and "id" in attrs]
    assert shown == [f"rung {rung.verdict}" for rung in made.rungs]
    assert "script" not in {tag for tag, _ in elements.found}


def test_a_request_of_a_page_would_be_seen(browser, tmp_path):
    path = tmp_path / "page.html"
    path.write_text('<img src="http://127.0.0.1:9/x.png">')
    assert browse(browser, path, tmp_path, "--dump-dom")[1] == {"http://127.0.0.1:9/x.png"}


@pytest.mark.long
@pytest.mark.parametrize(("scheme", "paper"), [("light", (255, 255, 255)), ("dark", (18, 21, 26))])
def test_a_screenshot_is_not_blank(browser, pictures, scheme, paper, tmp_path):
    from matplotlib.image import imread

    shot = tmp_path / "shot.png"
    mode = {
        "dark": "--blink-settings=preferredColorScheme=0",
        "light": "--blink-settings=preferredColorScheme=1",
    }
    browse(browser, pictures, tmp_path, mode[scheme], "--window-size=1160,1600", f"--screenshot={shot}")
    image = np.round(imread(shot)[..., :3] * 255).astype(int)
    assert image.shape[1] == 1160
    assert tuple(image[5, 5]) == paper
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 200
    assert np.mean(np.any(image != paper, axis=-1)) > 0.1


def test_every_rung_asks_a_question() -> None:
    assert set(QUESTIONS) == set(RUNGS)
