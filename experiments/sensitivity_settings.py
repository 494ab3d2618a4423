"""What a sensitivity analysis is asked: questions, ranges, and how finely they are gone over."""

from dataclasses import dataclass
from pathlib import Path

from experiments.inference import Question, check_declared
from experiments.sensitivity_design import MOST_SOBOL, Range, policy_at, ranges_of
from experiments.study import Study
from measures.registry import MEASURES, is_invariant
from policies.registry import make_policy
from populations.errors import InputError, did_you_mean

# What is asked unless the caller says what (A): each always defined, each of another kind.
QUESTIONS = (
    Question("life_years"),
    Question("mortality_rate"),
    Question("transplant_rate_ratio", "race", "Black"),
    Question("misalignment"),
)


@dataclass(frozen=True)
class Settings:
    """What is varied and how finely.

    Parameters
    ----------
    study : Study
        Its policies may hold ``{placeholders}``.
    vary : sequence of str
        Ranges, as for ``sensitivity_design.ranges_of``.
    questions : sequence of Question
        Whose contrasts are analysed.
    trajectories : int
        Of the screening, two or more.
    samples : int
        Of the Sobol design, a power of 2; 0 leaves it out.
    top : int
        How many parameters the screening passes on, unless ``named``.
    named : sequence of str
        Parameters for the Sobol design.
    """

    study: Study
    vary: tuple[str, ...] = ()
    questions: tuple[Question, ...] = QUESTIONS
    trajectories: int = 5
    samples: int = 16
    top: int = 2
    named: tuple[str, ...] = ()


def question(text: str) -> Question:
    """The question that ``"NAME"`` or ``"NAME:GROUPING:GROUP"`` asks.

    Raises
    ------
    InputError
        If it has neither one nor three parts.
    """
    parts = text.split(":")
    if len(parts) not in (1, 3):
        raise InputError(
            f"--measure {text!r}: expected NAME or NAME:GROUPING:GROUP, as in "
            "transplant_rate_ratio:race:Black"
        )
    return Question(*parts)


def check(settings: Settings) -> list[Range]:
    """The ranges, after everything that can be checked before running.

    Raises
    ------
    InputError
        Naming what is wrong.
    """
    study = settings.study
    study.check()
    for asked in settings.questions:
        name = asked.measure.partition(".")[0]
        if name not in MEASURES:
            hint = did_you_mean(name, MEASURES)
            raise InputError(f"--measure {asked.measure}: {hint}see `equipoise measures`")
        if is_invariant(asked.measure):
            raise InputError(
                f"--measure {asked.measure}: is nearly the same under every policy, so no "
                "outcome of one; see `equipoise measures`"
            )
    check_declared(settings.questions)
    if len(study.policies) < 2:
        raise InputError("policies: expected two or more, one to compare with the reference")
    ranges = ranges_of(settings.vary, study)
    if settings.trajectories < 2:
        raise InputError(f"--trajectories {settings.trajectories}: expected 2 or more")
    if settings.samples and (settings.samples < 4 or settings.samples & (settings.samples - 1)):
        raise InputError(f"--samples {settings.samples}: expected 0, or a power of 2 from 4 on")
    if not 1 <= settings.top <= MOST_SOBOL or len(settings.named) > MOST_SOBOL:
        raise InputError(
            f"--top, --sobol: parameters of the Sobol design: expected 1 to {MOST_SOBOL}"
        )
    names = [each.name for each in ranges]
    for name in settings.named:
        if name not in names:
            raise InputError(f"--sobol {name}: varies nowhere; expected among {', '.join(names)}")
    for point in ([each.at(end) for each in ranges] for end in (0.0, 1.0)):
        for text in study.policies:
            if "llm:" not in text:  # making it would ask the model
                make_policy(policy_at(text, ranges, point), Path(study.answers))
    return ranges


def sizes(settings: Settings, parameters: int) -> dict[str, int]:
    """Points of either design, and runs of both: points x policies x worlds x tie seeds.

    Runs that several points share (the reference, where only a policy varies) count every time.
    """
    kept = len(settings.named) or min(settings.top, parameters)
    morris = settings.trajectories * (parameters + 1) + 1
    sobol = settings.samples * (kept + 2)
    study = settings.study
    each = len(study.policies) * study.worlds * study.tie_seeds
    return {"screening": morris, "sobol": sobol, "runs": (morris + sobol) * each}
