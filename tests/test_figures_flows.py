"""Winners and losers: flows, churn and life-years are what the ledgers say."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from figure_checks import (
    LONG,
    MANY_LONG,
    check_labels,
    check_page,
    check_saved,
    check_ticks,
    inches,
    runs,
    words,
)
from matplotlib.colors import to_hex, to_rgb
from scipy.stats import t as student

from experiments.figures import Plot, winners_and_losers
from experiments.figures.style import DIVERGING, FIXED
from experiments.ledger import CHANGES
from populations.errors import InputError

ARMS = ["human", "lottery", "first-come", "forced(human, attribute:race)"]
SAMPLED = "sampled(llm:local+human-1024)"
TWELVE = [*ARMS, "points", "life-years", "freedman", SAMPLED, "llm:local", "a", "b", "c"]
rng = np.random.default_rng(3)


def ledger(
    run: dict, lost: int, gained: int, moved: tuple[int, int] = (6, 4), more: int = 0
) -> list[dict]:
    """Of 100 candidates 40 are transplanted under the reference; ``lost`` of them die instead."""
    kept = 40 - lost
    flows = [
        ("transplanted", "died", lost, -8.0 * lost),
        ("waiting", "transplanted", gained, 3.0 * gained),
        ("other", "transplanted", more, 2.0 * more),
        ("transplanted", "transplanted", kept, 1.0),
        ("waiting", "waiting", 60 - gained - more, 0.0),
    ]
    rows = [
        {"what": "flow", "reference_fate": before, "fate": after, "n": n, "life_years": years}
        for before, after, n, years in flows
        if n
    ]
    gained += more
    changes = (gained, lost, *moved, kept - sum(moved), 60 - gained)
    changed_years = (3.0 * gained, -8.0 * lost, 1.0, 0.0, 0.0, 0.0)
    for what, n, years in zip(CHANGES, changes, changed_years, strict=True):
        rows.append({"what": what, "n": n, "life_years": years})
    rows.append(
        {"what": "churn", "n": lost + gained, "share": (lost + gained) / (40 + kept + gained)}
    )
    rows.append({"what": "regret", "n": 50, "life_years": -99.0, "mean": 9.9})
    rows.append({"what": "displaced", "n": 70, "life_years": -99.0})
    blank = {"reference_fate": "", "fate": "", "life_years": 0.0, "horizon": 2.0, "mean": np.nan}
    return [run | blank | {"share": row["n"] / 100} | row for row in rows]


def ledger_frame(arms: list[str] = ARMS, worlds: int = 4) -> pd.DataFrame:
    rows = []
    for run in runs(arms, worlds):
        lost, gained = (int(n) for n in rng.integers(5, 15, 2))
        rows += ledger(run, lost, gained, more=4 * run["tie_seed"])
    return pd.DataFrame(rows)


def ribbon(plot: Plot, panel: int, label: str):
    found = [c for c in plot.figure.axes[panel].collections if c.get_label() == label]
    assert len(found) == 1
    return found[0]


def ends(plot: Plot, panel: int, label: str) -> tuple[float, float]:
    """Height of a ribbon at its two ends."""
    points = ribbon(plot, panel, label).get_paths()[0].vertices
    return tuple(np.ptp(points[points[:, 0] == x, 1]) for x in (0.0, 1.0))


def test_ribbons_are_as_high_as_the_share_of_candidates() -> None:
    frame = pd.DataFrame(
        [
            row
            for world, lost in enumerate((5, 15))
            for row in ledger({"arm": "lottery", "world": world, "tie_seed": 0}, lost, 8)
        ]
    )
    plot = winners_and_losers(frame, "human", "")
    assert ends(plot, 0, "transplanted > died") == pytest.approx((0.10, 0.10))
    assert ends(plot, 0, "waiting > transplanted") == pytest.approx((0.08, 0.08))
    assert ends(plot, 0, "transplanted > earlier") == pytest.approx((0.06, 0.06))
    labels = {c.get_label() for c in plot.figure.axes[0].collections}
    assert labels == {
        "transplanted > died",
        "waiting > transplanted",
        "transplanted > earlier",
        "transplanted > later",
    }
    shown = {text.get_text() for text in plot.figure.axes[0].texts}
    assert shown == {
        "transplanted 20.0", "waiting 8.0",  # left
        "transplanted 8.0", "... earlier 6.0", "... later 4.0", "died 10.0",
    }  # fmt: skip
    assert plot.figure.axes[0].get_title("left").replace("\N{NO-BREAK SPACE}", " ") == (
        "lottery, 72 % unchanged"
    )
    # The whole of each side is drawn as bars of the places.
    bars = plot.figure.axes[0].patches
    for x in (0.0, 1.0):
        assert sum(
            bar.get_height() for bar in bars if abs(bar.get_x() + bar.get_width() / 2 - x) < 1e-9
        ) == pytest.approx(0.28)


def test_colours_are_life_years_of_each_in_the_flow() -> None:
    rows = ledger({"arm": "lottery", "world": 0, "tie_seed": 0}, 5, 8)
    plot = winners_and_losers(pd.DataFrame(rows), "human", "")
    each = plot.data[plot.data["what"] == "flow"].set_index(["reference_fate", "fate"])
    assert each.loc[("transplanted", "died"), "life_years"] == pytest.approx(-8.0)
    assert each.loc[("waiting", "transplanted"), "life_years"] == pytest.approx(3.0)
    for label, place in (("transplanted > died", 0.0), ("waiting > transplanted", 0.5 + 3 / 16)):
        colour = ribbon(plot, 0, label).get_facecolor()[0][:3]
        assert np.allclose(colour, to_rgb(DIVERGING(place)), atol=0.01)
    bar = next(a for a in plot.figure.axes if "life-years by the end, each" in a.get_xlabel())
    assert bar.get_xlim() == (-8.0, 8.0)


def test_a_flow_that_one_tie_seed_has_counts_half() -> None:
    plot = winners_and_losers(ledger_frame(), "human", "")
    flows = plot.data[(plot.data["reference_fate"] == "other") & (plot.data["arm"] == "lottery")]
    assert flows["mean"].tolist() == pytest.approx([0.02])
    assert "human" not in set(plot.data["arm"])
    assert not {"regret", "displaced"} & set(plot.data["what"])


def test_churn_and_life_years_have_intervals_of_the_mean() -> None:
    frame = ledger_frame()
    floor = ledger_frame(["lottery", "human"])
    plot = winners_and_losers(frame, "human", "", floor=floor)
    churn, years = plot.figure.axes[4:6]
    worlds = frame[(frame["what"] == "churn") & (frame["arm"] == "lottery")]
    worlds = 100 * worlds.groupby("world")["share"].mean()
    half = student.ppf(0.975, 3) * worlds.std() / 2
    bar = next(b for b in churn.patches if b.get_y() < 0 and b.get_fill())
    assert bar.get_width() == pytest.approx(worlds.mean())
    assert to_hex(bar.get_facecolor()) == FIXED["lottery"].lower()
    line = next(mark for mark in churn.get_lines() if (np.asarray(mark.get_ydata()) == 0).all())
    assert line.get_xdata() == pytest.approx([worlds.mean() - half, worlds.mean() + half])
    noise = 100 * floor[floor["what"] == "churn"].groupby("arm")["share"].mean()
    hollow = [b for b in churn.patches if b.get_hatch()]
    assert not any(b.get_fill() for b in hollow)
    assert {round(b.get_width(), 9) for b in hollow} == {round(noise["lottery"], 9)}
    own = next(mark for mark in churn.get_lines() if mark.get_linestyle() == "--")
    assert own.get_xdata()[0] == pytest.approx(noise["human"])
    assert own.get_color() == FIXED["human"]
    moved = frame[(frame["what"] == "flow") & (frame["arm"] == "lottery")]
    total = moved.groupby(["world", "tie_seed"])["life_years"].sum() * 1000 / 100
    dot = next(mark for mark in years.get_lines() if mark.get_marker() == "o")
    assert dot.get_xdata()[0] == pytest.approx(total.mean())
    assert f"lottery {worlds.mean():.0f}%" in plot.text["alt"]


def test_one_world_has_no_intervals_and_says_so() -> None:
    plot = winners_and_losers(ledger_frame(worlds=1), "human", "")
    assert "one world, so no intervals" in words(plot)
    assert plot.data[["low", "high"]].isna().all(axis=None)
    assert "lots alone" not in words(plot)


def test_nothing_changed_is_said() -> None:
    rows = ledger({"arm": "lottery", "world": 0, "tie_seed": 0}, 0, 0, (0, 0))
    plot = winners_and_losers(pd.DataFrame(rows), "human", "")
    assert [text.get_text() for text in plot.figure.axes[0].texts] == [
        "everybody's outcome is the same"
    ]
    plot.figure.draw_without_rendering()


def test_labels_of_thin_flows_do_not_touch() -> None:
    label = {"arm": "lottery", "world": 0, "tie_seed": 0, "life_years": 0.0, "horizon": 1.0}
    fates = ["waiting", "living_donor", "other", "too_sick", "died"]
    pairs = [(fate, "transplanted", 1) for fate in fates]
    pairs += [("transplanted", fate, 1) for fate in fates] + [("transplanted", "transplanted", 990)]
    rows = [
        {"what": "flow", "reference_fate": before, "fate": after, "n": n, "share": n / 1000}
        for before, after, n in pairs
    ]
    changes = dict(zip(CHANGES, (5, 5, 450, 450, 90, 0), strict=True))
    blank = {"reference_fate": "", "fate": ""}
    rows += [blank | {"what": what, "n": n, "share": n / 1000} for what, n in changes.items()]
    plot = winners_and_losers(pd.DataFrame([label | row for row in rows]), "human", "")
    check_labels(plot)
    check_page(plot)
    assert len(plot.figure.axes[0].texts) == 6 + 8


def test_no_transplants_have_no_churn() -> None:
    rows = [
        {"what": "flow", "reference_fate": "waiting", "fate": "waiting", "n": 9, "share": 1.0},
        {"what": "neither", "n": 9, "share": 1.0},
        {"what": "churn", "n": 0, "share": np.nan},
    ]
    label = {"arm": "lottery", "world": 0, "tie_seed": 0, "life_years": 0.0, "horizon": 1.0}
    blank = {"reference_fate": "", "fate": ""}
    plot = winners_and_losers(pd.DataFrame([label | blank | row for row in rows]), "human", "")
    assert "Churn: undefined" in plot.text["alt"]
    plot.figure.draw_without_rendering()


def test_the_reference_alone_is_refused() -> None:
    with pytest.raises(InputError, match="another arm"):
        winners_and_losers(ledger_frame(["human"]), "human", "")


@pytest.mark.parametrize(
    ("arms", "worlds"),
    [(ARMS[:2], 1), (ARMS, 2), (TWELVE, 2), (LONG, 2), (LONG[1:], 2), (MANY_LONG, 2)],
)
def test_it_is_legible(arms: list[str], worlds: int, tmp_path: Path) -> None:
    frame = ledger_frame(arms, worlds)
    plot = winners_and_losers(frame, arms[0], "A caption. " * 9, arms, frame)
    if arms == ARMS:
        check_saved(plot, tmp_path)
    check_page(plot)
    check_labels(plot)
    check_ticks(plot)
    assert 1.15 < inches(plot, 0) < 1.6  # so that labels do not touch
    facets = plot.figure.axes[: len(arms) - 1]
    titles = [axes._left_title.get_window_extent() for axes in facets]
    assert not any(a.overlaps(b) for i, a in enumerate(titles) for b in titles[:i])
