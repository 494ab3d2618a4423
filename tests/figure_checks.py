"""What every figure must be, whichever it is."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pandas as pd
from matplotlib.text import Text

from experiments.figures import Plot, save_figure


def runs(arms: list[str], worlds: int, seeds: int = 2) -> list[dict]:
    """Labels of the runs of a study."""
    return [
        {"arm": arm, "world": world, "tie_seed": seed}
        for arm in arms
        for world in range(worlds)
        for seed in range(seeds)
    ]


# As long as the names of policies that studies make.
LONG = [
    "human",
    "forced(with_coin(human-half-a, human-half-b), renormalise)",
    "forced(band(human-half-a, 0.12345), last_listed)",
    "lottery",
]
MANY_LONG = [
    *LONG,
    *(f"forced(with_coin(human-half-{i}, llm:local), renormalise)" for i in range(6)),
]


def words(plot: Plot) -> str:
    """The text of the footer, on one line."""
    return " ".join(text.get_text() for text in plot.figure.texts).replace("\n", " ")


def check_saved(plot: Plot, folder: Path) -> None:
    """Whole files, the data as drawn, and something said of it."""
    save_figure(plot, folder, "f")
    svg = ET.parse(folder / "f.svg").getroot()
    assert svg.tag.endswith("svg")
    assert (folder / "f.png").read_bytes().startswith(b"\x89PNG")
    text_columns = dict.fromkeys(plot.data.select_dtypes(exclude=["number", "bool"]), str)
    back = pd.read_csv(
        folder / "f.csv", dtype=text_columns, keep_default_na=False,
        na_values={c: [""] for c in plot.data.select_dtypes("number")},
    )  # fmt: skip
    pd.testing.assert_frame_equal(back, plot.data, check_dtype=False)
    assert set(plot.text) == {"title", "caption", "alt"} and all(plot.text.values())
    assert "".join(plot.text["caption"].split()) in "".join(words(plot).split())
    assert plot.text["title"] in "".join(svg.itertext())
    assert "nan" not in " ".join(plot.text.values()).split()


def check_page(plot: Plot, name: str = "") -> None:
    """No text leaves the page or is too small."""
    for _ in range(2):  # as where it is saved
        plot.figure.draw_without_rendering()
    sizes = [t.get_size() for t in plot.figure.findobj(Text) if t.get_text() and t.get_visible()]
    assert min(sizes) >= 7
    page = plot.figure.bbox.padded(1)
    boxes = {f"axes {i}": axes.get_tightbbox() for i, axes in enumerate(plot.figure.axes)}
    for text in (*plot.figure.texts, *plot.figure.legends):
        boxes[str(text)] = text.get_window_extent()
    for what, box in boxes.items():
        if box is not None:
            inside = page.contains(box.x0, box.y0) and page.contains(box.x1, box.y1)
            assert inside, (name, what, box)


def check_labels(plot: Plot) -> None:
    """No two texts of a panel overlap."""
    plot.figure.draw_without_rendering()
    for axes in plot.figure.axes:
        texts = [t for t in axes.texts if t.get_text() and t.get_visible()]
        boxes = [t.get_window_extent().padded(-1) for t in texts]
        for i, box in enumerate(boxes):
            for other, text in zip(boxes[:i], texts, strict=False):
                assert not box.overlaps(other), (texts[i].get_text(), text.get_text())


def check_ticks(plot: Plot) -> None:
    """No two labels of an axis overlap."""
    plot.figure.draw_without_rendering()
    for axes in plot.figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            labels = [t for t in axis.get_ticklabels() if t.get_text() and t.get_visible()]
            boxes = [t.get_window_extent().padded(-1) for t in labels]
            for i, box in enumerate(boxes):
                for other, label in zip(boxes[:i], labels, strict=False):
                    assert not box.overlaps(other), (labels[i].get_text(), label.get_text())


def inches(plot: Plot, axes: int) -> float:
    """Height of a panel."""
    plot.figure.draw_without_rendering()
    return plot.figure.axes[axes].get_window_extent().height / plot.figure.dpi
