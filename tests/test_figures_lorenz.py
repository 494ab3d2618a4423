"""Lorenz curves of chances: the series from records by hand, and the figure of it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from figure_checks import LONG, check_page, check_saved, inches, words
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from scipy.stats import t as student

from experiments.figures import lorenz
from experiments.series import lorenz as lorenz_series
from populations.errors import InputError
from sim.record import Record

ARMS = ["human", "lottery", "first-come", "sampled(llm:local+human-1024)"]
MANY = [*ARMS, *(f"forced(human, attribute:{i})" for i in range(8))]
rng = np.random.default_rng(5)


def record(chances: list[float] | None, transplanted: list[bool], **meta) -> Record:
    fates = pd.DataFrame({"fate": np.where(transplanted, "transplanted", "waiting")})
    if chances is not None:
        fates["chance"] = chances
    empty = pd.DataFrame()
    tables = dict.fromkeys(("decisions", "offers", "snapshots", "candidates", "ties"), empty)
    known = {name: tables[name] for name in tables if name in Record.__dataclass_fields__}
    return Record(fates=fates, **known, meta={"policy": "p", "exogenous": "w", "years": 1.0} | meta)


def curve(frame: pd.DataFrame, kind: str) -> pd.DataFrame:
    return frame[frame["kind"] == kind].set_index(frame["people"].round(2)[frame["kind"] == kind])


# --- the series ---------------------------------------------------------------------------------


def test_curves_by_hand() -> None:
    """Chances average to 0, 0.5, 0.5, 3 of 4; one of four is transplanted, then two are."""
    frame = lorenz_series(
        [
            record([0.0, 0.2, 1.0, 4.0], [False, False, False, True]),
            record([0.0, 0.8, 0.0, 2.0], [False, True, False, True]),
        ]
    )
    assert list(frame) == ["kind", "people", "share", "gini", "tie_seeds"]
    before, after = curve(frame, "ex_ante"), curve(frame, "ex_post")
    assert len(before) == len(after) == 101 and (frame["tie_seeds"] == 2).all()
    assert before.loc[[0.0, 0.25, 0.5, 0.75, 1.0], "share"].tolist() == pytest.approx(
        [0, 0, 0.125, 0.25, 1]
    )
    assert before.loc[0.6, "share"] == pytest.approx(0.125 + 0.4 * 0.125)  # straight in between
    # Gini of 0, .5, .5, 3: sum (2i - 5) x / (4 * 4) = (-0.5 + 0.5 + 9) / 16.
    assert before["gini"].tolist() == pytest.approx([9 / 16] * 101)
    # Of (0, 0, 0, 1) and (0, 0, 1, 1): Gini 3/4 and 1/2, and the mean of the two curves.
    assert after["gini"].tolist() == pytest.approx([0.625] * 101)
    assert after.loc[[0.5, 0.75, 0.9], "share"].tolist() == pytest.approx([0, 0.25, 0.7])


@given(st.lists(st.floats(0, 10), min_size=1, max_size=60).filter(lambda x: sum(x) > 1e-3))
def test_a_curve_is_convex_and_its_area_is_the_gini(chances: list[float]) -> None:
    before = curve(lorenz_series([record(chances, [True] * len(chances))]), "ex_ante")
    share = before["share"].to_numpy()
    assert share[0] == 0 and share[-1] == pytest.approx(1)
    assert (np.diff(share, 2) > -1e-9).all() and (share <= before["people"] + 1e-9).all()
    area = np.trapezoid(share, before["people"])
    # Gini is twice the area between the curve and equality; the grid is not that of the people.
    assert 1 - 2 * area == pytest.approx(before["gini"].iloc[0], abs=0.021)


def test_equal_chances_are_the_diagonal_whoever_wins() -> None:
    frame = lorenz_series([record([0.3] * 7, [True] + [False] * 6)])
    before = curve(frame, "ex_ante")
    assert before["share"].to_numpy() == pytest.approx(before["people"].to_numpy())
    assert before["gini"].iloc[0] == pytest.approx(0)
    assert curve(frame, "ex_post")["gini"].iloc[0] == pytest.approx(6 / 7)


def test_nothing_to_share_is_undefined() -> None:
    frame = lorenz_series([record([0.0, 0.0], [False, False])])
    assert frame[["share", "gini"]].isna().all(axis=None)


def test_records_that_do_not_belong_together_are_refused() -> None:
    one = record([1.0], [True])
    with pytest.raises(InputError, match="none"):
        lorenz_series([])
    with pytest.raises(InputError, match="exogenous"):
        lorenz_series([one, record([1.0], [True], exogenous="another")])
    with pytest.raises(InputError, match="policy"):
        lorenz_series([one, record([1.0], [True], policy="q")])
    with pytest.raises(InputError, match="chance"):
        lorenz_series([record(None, [True])])


# --- the figure ---------------------------------------------------------------------------------


def lorenz_frame(arms: list[str] = ARMS, worlds: int = 3) -> pd.DataFrame:
    frames = []
    for arm in arms:
        for world in range(worlds):
            chances = rng.gamma(1.0, size=40)
            made = lorenz_series([record(list(chances), list(chances > np.median(chances)))] * 2)
            frames.append(made.assign(arm=arm, world=world))
    return pd.concat(frames, ignore_index=True)


def line(plot, label: str):
    return next(x for x in plot.figure.axes[0].get_lines() if x.get_label() == label)


def labels(plot) -> list[str]:
    return [text.get_text() for text in plot.figure.legends[0].get_texts()]


def test_lines_are_means_over_worlds_and_ginis_have_t_intervals() -> None:
    frame = lorenz_frame()
    plot = lorenz(frame, "human", "Here.")
    mine = frame[(frame["arm"] == "lottery") & (frame["kind"] == "ex_ante")]
    mean = mine.groupby("people")["share"].mean()
    assert line(plot, "ex_ante lottery").get_ydata() == pytest.approx(mean.to_numpy())
    gini = mine.groupby("world")["gini"].first()
    half = student.ppf(0.975, 2) * gini.std() / np.sqrt(3)
    low, high = gini.mean() - half, gini.mean() + half
    assert f"lottery: Gini {gini.mean():.2f} ({low:.2f} to {high:.2f})" in labels(plot)
    row = plot.data[(plot.data["arm"] == "lottery") & (plot.data["kind"] == "ex_ante")].iloc[0]
    assert (row["gini_low"], row["gini_high"]) == pytest.approx((low, high))
    assert f"lottery {gini.mean():.2f}" in plot.text["alt"]
    assert "3 worlds, 2 tie seeds each" in words(plot)


def test_before_is_solid_and_coloured_after_is_dashed_and_grey() -> None:
    plot = lorenz(lorenz_frame(), "human", "")
    human, after = line(plot, "ex_ante human"), line(plot, "ex_post human")
    assert (to_hex(human.get_color()), human.get_linestyle()) == ("#000000", "-")
    assert after.get_linestyle() == "--" and to_hex(after.get_color()) == "#666666"
    assert labels(plot)[-1].startswith("ex post, all policies: Gini 0.5")
    assert human.get_linewidth() > line(plot, "ex_ante lottery").get_linewidth()


def test_one_world_has_no_interval_and_an_undefined_one_is_said() -> None:
    plot = lorenz(lorenz_frame(["human"], 1), "human", "")
    assert "to" not in labels(plot)[0] and "t intervals" not in words(plot)
    frame = lorenz_frame(["human", "lottery"], 2)
    empty = (frame["arm"] == "lottery") & (frame["world"] == 1)
    frame.loc[empty, ["share", "gini"]] = np.nan
    plot = lorenz(frame, "human", "")
    assert labels(plot)[1] == "lottery: Gini undefined" and "Undefined" in words(plot)
    assert "(1 undefined)" in plot.text["alt"]


@pytest.mark.parametrize(("arms", "worlds"), [(["human"], 1), (ARMS, 2), (MANY, 2), (LONG, 2)])
def test_it_is_legible(arms: list[str], worlds: int, tmp_path: Path) -> None:
    plot = lorenz(lorenz_frame(arms, worlds), "human", "A caption. " * 9)
    if arms == ARMS:
        check_saved(plot, tmp_path)
    check_page(plot)
    assert 2.45 < inches(plot, 0) < 2.95
