"""What the factorial study is about: outcomes of everybody and of groups, by name."""

from typing import NamedTuple

from experiments.factorial import Factorial
from experiments.inference import Question, check_declared
from experiments.sentences import Outcome, headlines, row
from measures.rates import reference_group
from measures.registry import is_invariant, is_ratio
from populations.errors import InputError

# What there is to show beside the headlines, where a study has it.
_COUNTS = (("deaths", "fate_counts.died", ",.1f"),)
_LUCK = ("repeat_losers", "ex_ante_touched", "systemic_exclusion")
# Measures by group, and for which groupings.
_BY_GROUP = {
    "transplant_rate_ratio": ("race", "sex", "age_band"),
    "tie_ledger": ("race", "sex"),
}


class Asked(NamedTuple):
    """A measure, of everybody or of a group."""

    measure: str
    grouping: str = "all"
    group: str = "all"

    @classmethod
    def read(cls, text: str) -> "Asked":
        """``MEASURE`` or ``MEASURE:GROUPING=GROUP``.

        Raises
        ------
        InputError
            If there is no such measure or group, or the measure is no outcome of a policy.
        """
        measure, _, of = text.partition(":")
        grouping, _, group = of.partition("=")
        asked = cls(measure, grouping or "all", group or "all")
        try:
            check_declared([Question(*asked)])
        except InputError as error:
            raise InputError(f"measure {text!r}: {error}") from None
        return asked


def outcome_of(asked: Asked, found: Factorial) -> Outcome:
    """How tables call a measure.

    Raises
    ------
    InputError
        If the study has no such row.
    """
    measure, grouping, group = asked
    known = {each.measure: each for each in outcomes(found)}
    label, how = (
        (known[measure].label, known[measure].how) if measure in known else (measure, ".3f")
    )
    if grouping != "all":
        ratio = is_ratio(measure)
        label = f"{measure.replace('_', ' ')}, {_against(grouping, group) if ratio else group}"
        how = ".2f" if ratio else how
    outcome = Outcome(label, measure, how, grouping, group)
    if row(found.base.levels, outcome) is None:
        raise InputError(
            f"measure {measure}, {grouping} {group}: not in this study: expected a row of "
            "factorial.csv"
        )
    return outcome


def outcomes(found: Factorial) -> list[Outcome]:
    """Everybody's outcomes that the study has, those of lots included."""
    levels = found.base.levels
    there = set(levels.loc[levels["grouping"] == "all", "measure"])
    rows = [Outcome(*count) for count in _COUNTS] + headlines(*there)
    luck = [name for name in levels["measure"].unique() if name.startswith(_LUCK)]
    rows += [Outcome(name.replace("_", " "), name, ".3f") for name in luck]
    return [each for each in rows if each.measure in there and not is_invariant(each.measure)]


def _against(grouping: str, group: str) -> str:
    return f"{group} : {reference_group(grouping)}"


def group_outcomes(found: Factorial) -> list[Outcome]:
    """Rate ratios of the groups that the study compares, and how many lots they won."""
    rows = found.base.levels
    rows = rows[rows["measure"].isin(_BY_GROUP)]
    known = rows[["measure", "grouping", "group"]].drop_duplicates()
    return [
        Outcome(
            _against(grouping, group) if is_ratio(measure) else f"lots won, {group}",
            measure,
            ".2f",
            grouping,
            group,
        )
        for measure, grouping, group in known.itertuples(index=False, name=None)
        if grouping in _BY_GROUP[measure]
        and not (is_ratio(measure) and group == reference_group(grouping))
    ]
