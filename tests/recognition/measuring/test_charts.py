"""Where the charts of a report put what was measured."""

from xml.etree import ElementTree

import numpy as np
import pytest

from recognition.measuring import charts
from recognition.measuring.charts import Chart, ChartPoint
from recognition.measuring.evaluation import Curve

SVG = "{http://www.w3.org/2000/svg}"
LEFT, RIGHT, TOP, BOTTOM = 90, 960, 100, 620


def plot(**changes: object) -> Chart:
    """Four decades of false match rates; one false non-match in ten, up to one in a hundred."""
    fmr = np.array([1e-4, 1e-3, 1e-2, 1e-1, 1.0])
    curve = Curve(np.linspace(0.9, 0.1, 5), fmr, np.array([0.1, 0.05, 0.02, 0.01, 0.01]))
    values = {
        "title": "Them & us",
        "curve": curve,
        "points": [ChartPoint(1e-2, 1e-3, 1e-1, 0.1)],
        "levels": {"standard": 1e-2, "strict": 1e-6},
        "measured_from": 1e-3,
    }
    return Chart(**values | changes)  # type: ignore[arg-type]


def drawn(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)


def lines(chart: ElementTree.Element, kind: str) -> list[list[tuple[float, float]]]:
    found = [line for line in chart.iter(f"{SVG}polyline") if line.get("class") == kind]
    places = [[place.split(",") for place in line.attrib["points"].split()] for line in found]
    return [[(float(x), float(y)) for x, y in line] for line in places]


def test_it_works() -> None:
    chart = drawn(charts.det(plot()))
    (curve,) = lines(chart, "curve")
    x = [place for place, _ in curve]
    assert x == pytest.approx(np.linspace(LEFT, RIGHT, 5), abs=0.1)
    # Two decades of false non-match rates: a tenth is in the middle, a hundredth at the bottom.
    assert curve[0][1] == pytest.approx((TOP + BOTTOM) / 2) and curve[-1][1] == BOTTOM
    (circle,) = chart.iter(f"{SVG}circle")
    middle = (LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2
    assert (float(circle.attrib["cx"]), float(circle.attrib["cy"])) == pytest.approx(middle)
    ((low, high),) = lines(chart, "bar")
    assert (low[0], high[0]) == pytest.approx((x[1], x[3]), abs=0.1)


def test_accepted_faces_are_at_the_top() -> None:
    (curve,) = lines(drawn(charts.roc(plot())), "curve")
    heights = [y for _, y in curve]
    assert heights == sorted(heights, reverse=True) and TOP < heights[-1] < TOP + 60


def test_what_is_beyond_the_chart_is_left_out() -> None:
    chart = drawn(charts.det(plot(points=[ChartPoint(1e-2, 1e-3, 1e-1, 0.0)])))
    assert len(lines(chart, "level")) == 1  # `strict` is below all that was measured
    assert not [*chart.iter(f"{SVG}circle")]


def test_a_title_is_text() -> None:
    assert "Them & us" in [text.text for text in drawn(charts.det(plot())).iter(f"{SVG}text")]


def test_rates_of_few_errors_are_marked() -> None:
    chart = drawn(charts.det(plot()))
    (few,) = (each for each in chart.iter(f"{SVG}rect") if each.get("class") == "few")
    assert float(few.attrib["width"]) == pytest.approx((RIGHT - LEFT) / 4, abs=0.1)
    assert "too few errors" in [text.text for text in chart.iter(f"{SVG}text")]
