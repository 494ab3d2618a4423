"""What a run leaves: columnar tables, and how they are written and read."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from populations.errors import InputError
from populations.schema import AGE_BANDS, SCHEMA, age_band

FATES: tuple[str, ...] = ("waiting", "transplanted", "died", "too_sick", "living_donor", "other")
TABLES: tuple[str, ...] = (
    "decisions",
    "offers",
    "fates",
    "returns",
    "snapshots",
    "candidates",
    "ties",
)
# What results are told by, beside everybody.
GROUPINGS: tuple[str, ...] = (
    "sex",
    "race",
    "insurance",
    "neighbourhood",
    "age_band",
    "blood_type",
)
TIE_COLUMNS: tuple[str, ...] = (
    "kidney",
    "winner",
    *(
        f"{grouping}.{group}"
        for grouping in GROUPINGS
        for group in (AGE_BANDS if grouping == "age_band" else SCHEMA[grouping].levels)
    ),
)


def no_ties() -> pd.DataFrame:
    """A record's ties where there are none."""
    return pd.DataFrame(
        {name: pd.Series(dtype=int if name in TIE_COLUMNS[:2] else float) for name in TIE_COLUMNS}
    )


def no_returns() -> pd.DataFrame:
    """A record's returns where nobody came back."""
    columns = {"candidate": int, "listed": float, "exit": float, "fate": object, "kidney": int}
    columns |= {"graft_failure": float}
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in columns.items()})


@dataclass(frozen=True)
class Record:
    """One history of one waitlist under one policy. Times are years from the start of the run.

    Parameters
    ----------
    candidates : DataFrame, one row per candidate of the world (the same under every policy)
        ``candidate`` (id, equals the row number), ``listed`` (year; negative if listed before the
        start), ``centre`` (number), ``dialysis_start`` (year; it may never come to it), and every
        attribute of the schema as it was at listing, categories as strings.
        With ``detail="full"``, if the reference policy is a judge of pairs, also ``claim``: the
        probability that it prefers this candidate to another candidate of the world, both as at
        listing, the coin counted as half.
    fates : DataFrame, one row per candidate, same order
        ``entry`` (year observation starts: ``max(listed, 0)``), ``exit`` (year of leaving the list,
        the horizon if still waiting), ``fate`` (one of ``FATES``), ``kidney`` (number, -1 if none),
        ``death`` (year of death after whatever happened; may lie beyond the horizon),
        ``untreated_death`` (year of death had no deceased-donor kidney come), ``graft_failure``
        (year in which the graft failed or will fail; infinite if death comes first, NaN without a
        deceased donor's kidney), ``active_years`` (years on the list with active status) and
        ``inactive`` (whether inactive on leaving the list, or at the end). All but ``death`` is of
        the first registration; what came of people listed again is in ``returns``.
        With ``detail="full"`` also, over the match runs the candidate was shown in, ``chance`` and
        ``reference_chance`` (sums of the chances the policy and the reference policy gave them) and
        ``considered`` (kidneys of whose favourites H they were; see ``measures.decisions``); and
        over the draws within H (see ``ties``) that they were in, ``fair_wins`` (sum of their fair
        shares s_i), ``wins`` (how many they won, that is, were offered the kidney first),
        ``ever_won``, ``exposure`` (sum of -log(1 - s_i) up to and including their first win) and
        ``exposure_before`` (up to but not including it).
    decisions : DataFrame, one row per kidney
        ``kidney``, ``time``, ``blood_type``, ``kdpi``, ``eligible`` (who could medically take it),
        ``shown`` (of those, how many the policy could choose from), ``tie`` (probability that lots
        were drawn), ``tied`` (candidates who shared the highest chance), ``effective``
        (1 / sum of squared chances), ``offers``, ``candidate`` (who got it, -1 if unused),
        ``chance`` (the policy's chance for them), ``position`` (among the eligible, 0 = longest
        listed, -1 if unused), ``outcome`` ("transplanted", "refused", "no_candidate", or
        "withheld": the policy's ticket fell on nobody), ``donor_age``, and of the kidneys that were
        used ``cold_hours``, ``distance_nm`` (from the donor's hospital), ``level`` ("local",
        "regional", "national") and ``mismatches`` (HLA antigens, 0 to 6).
        With ``detail="full"`` also ``entropy`` (nats), ``entropy_gap`` (the reference's entropy
        minus it) and, against the reference policy on the same
        match run, ``distance`` (total variation) and its two parts, ``misalignment`` and
        ``over_decisiveness``.
    offers : DataFrame, one row per offer
        ``kidney``, ``offer`` (0, 1, ...), ``candidate``, ``centre``, ``accepted``.
    returns : DataFrame, one row per return to the list after a graft from a deceased donor failed
        ``candidate``, ``listed`` (year, again), ``exit``, ``fate``, ``kidney`` and
        ``graft_failure`` (of the next graft) as in fates.
    snapshots : DataFrame, one row per point in time
        ``time``, ``listed`` (registrations ever, so far), ``waiting``, and one cumulative count for
        each other fate: ``transplanted``, ``died``, ``too_sick``, ``living_donor``, ``other``;
        returns to the list count as registrations.
    meta : dict
        ``policy``, ``population`` (resolved), ``seed``, ``world``, ``tie_seed``, ``lottery``
        ("fresh" or "persistent"), ``years``, ``discretion``, ``detail``, ``exogenous`` (hash of all
        that no policy can change), ``versions``.
    ties : DataFrame, one row per draw within H; empty without ``detail="full"``
        A kidney whose H holds two or more, and which was offered first to one of them, before any
        centre had answered. The fair share s_i of a candidate in it is the reference's chance for
        them over its sum in H: 1/k where the reference is even between k. ``kidney``, ``winner``
        (candidate), and for each group of ``GROUPINGS``, as ``race.Black``, the sum of its
        members' shares.
    """

    candidates: pd.DataFrame
    fates: pd.DataFrame
    decisions: pd.DataFrame
    offers: pd.DataFrame
    snapshots: pd.DataFrame
    meta: dict[str, Any]
    ties: pd.DataFrame = field(default_factory=no_ties)
    returns: pd.DataFrame = field(default_factory=no_returns)

    @property
    def years(self) -> float:
        """Length of the run in years."""
        return float(self.meta["years"])

    def people(self) -> pd.DataFrame:
        """Fates joined with the candidates' attributes and their age band at entry."""
        people = pd.concat(
            [self.candidates, self.fates.drop(columns="candidate", errors="ignore")], axis=1
        )
        age = people["age"] + people["entry"] - people["listed"]
        people["age_band"] = pd.Categorical.from_codes(age_band(age.to_numpy()), list(AGE_BANDS))
        return people

    def save(self, folder: Path) -> None:
        """Write each table as Parquet and ``meta.json`` into ``folder``, which is created."""
        folder.mkdir(parents=True, exist_ok=True)
        for table in TABLES:
            getattr(self, table).to_parquet(folder / f"{table}.parquet", index=False)
        (folder / "meta.json").write_text(json.dumps(self.meta, indent=1, sort_keys=True))

    @classmethod
    def load(cls, folder: Path) -> "Record":
        """Read what ``save`` wrote.

        Raises
        ------
        InputError
            If a file is missing or cannot be read.
        """
        try:
            tables = {table: pd.read_parquet(folder / f"{table}.parquet") for table in TABLES}
            meta = json.loads((folder / "meta.json").read_text())
        except (OSError, ValueError) as error:
            raise InputError(f"{folder}: not a complete record of a run: {error}") from error
        return cls(**tables, meta=meta)
