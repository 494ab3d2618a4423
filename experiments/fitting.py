"""From a file of people's answers to values that can be a policy, and what is known of the fit."""

from dataclasses import dataclass, replace
from typing import cast, get_args

import numpy as np

from experiments.progress import Progress, silent
from policies.choice_models import Score, compare_models
from policies.choices import Choices, coding_text
from policies.fit import as_fit
from policies.likelihood import Floats, differences, log_losses, maximise, resample_people
from policies.mixture import Mixture, MixtureScore, compare_classes, fit_mixture
from policies.persons import People, fit_people
from policies.signs import check_signs
from policies.values_file import FittedValues, Kind, Made, Member
from populations.errors import InputError

MOST_CLASSES = 20
_BATCH = 25  # people are resampled so many times between reports of progress


@dataclass(frozen=True)
class FitOptions:
    """What to fit.

    Parameters
    ----------
    kind : {"pooled", "people", "mixture"}
    classes : tuple of int
        Sizes of mixture to compare; the one that predicts people held out best is kept.
    order : bool
        Whether being shown on the left may have an advantage.
    compare : bool
        Whether to compare choice models on people and pairs held out.
    resamples : int
        How often people are drawn again for standard errors.
    seed : int
        Everything random follows from it.
    allow_signs : bool
        Whether weights may clearly contradict their declared directions.
    """

    kind: str = "pooled"
    classes: tuple[int, ...] = (1, 2, 3, 4, 5, 6)
    order: bool = False
    compare: bool = True
    resamples: int = 200
    seed: int = 1
    allow_signs: bool = False

    def check(self) -> None:
        """Raise InputError for an option that makes no sense."""
        if self.kind not in get_args(Kind):
            raise InputError(f"kind {self.kind!r}: expected one of {', '.join(get_args(Kind))}")
        if not self.classes or not all(1 <= size <= MOST_CLASSES for size in self.classes):
            given = ", ".join(map(str, self.classes)) or "none"
            raise InputError(f"classes {given}: expected numbers from 1 to {MOST_CLASSES}")
        if not 20 <= self.resamples <= 100_000:
            raise InputError(f"resamples = {self.resamples}: expected 20 to 100000")
        if self.seed < 0:
            raise InputError(f"seed = {self.seed}: expected 0 or more")


@dataclass(frozen=True)
class Fitted:
    """A fit and what is known of it.

    Parameters
    ----------
    choices : Choices
    options : FitOptions
    pooled : ndarray, shape (p,)
        Weights, the order effect if fitted, lambda.
    draws : ndarray, shape (resamples, p)
        The same, fitted to people drawn again.
    log_loss : float
        Of the pooled fit, mean over the answers it was fitted to, in nats.
    warnings : tuple of str
        About signs.
    models : dict of {"people", "pairs"} to scores by model
        Empty if they were not compared.
    mixtures : tuple of MixtureScore
    mixture : Mixture, optional
    people : People, optional
    """

    choices: Choices
    options: FitOptions
    pooled: Floats
    draws: Floats
    log_loss: float
    warnings: tuple[str, ...]
    models: dict[str, dict[str, Score]]
    mixtures: tuple[MixtureScore, ...] = ()
    mixture: Mixture | None = None
    people: People | None = None

    @property
    def errors(self) -> Floats:
        """Standard errors of the pooled fit, shape (p,)."""
        return np.asarray(self.draws.std(axis=0, ddof=1))

    def interval(self, draws: Floats) -> Floats:
        """The middle 95 % of something computed from each draw, shape (2, ...)."""
        return np.quantile(draws, [0.025, 0.975], axis=0)


def fit_values(choices: Choices, options: FitOptions, progress: Progress = silent) -> Fitted:
    """Fit, check signs, and measure how well answers held out are predicted.

    Raises
    ------
    InputError
        If the answers cannot be fitted, or their signs say that they were coded wrongly.
    """
    options.check()
    _check_answers(choices, options)
    x = differences(choices.a, choices.b, choices.asked.scale, options.order)
    answers, person, seed = choices.answers, choices.person, options.seed
    pooled = maximise(x, answers, np.ones((1, len(x))))[0]
    parts = []
    for done in range(0, options.resamples, _BATCH):
        size = min(_BATCH, options.resamples - done)
        parts.append(resample_people(x, answers, person, pooled, size, (seed, done)))
        progress("people resampled", done + size, options.resamples)
    draws = np.concatenate(parts)
    attributes = len(choices.asked.scale)
    intervals = np.quantile(draws[:, :attributes], [0.025, 0.975], axis=0).T
    warnings = check_signs(
        choices, pooled[:attributes], intervals, options.order, options.allow_signs
    )
    models: dict[str, dict[str, Score]] = {}
    for what, group in (("people", person), ("pairs", choices.pair)) if options.compare else ():
        models[what] = compare_models(
            x,
            answers,
            person,
            group,
            seed,
            order=options.order,
            progress=lambda done, total, what=what: progress(  # type: ignore[misc]
                f"models on {what} held out", done, total
            ),
        )
    fitted = Fitted(
        choices,
        options,
        pooled,
        draws,
        float(log_losses(x, answers, pooled[None]).mean()),
        tuple(warnings),
        models,
    )
    return _with_people(fitted, x, progress)


def _with_people(fitted: Fitted, x: Floats, progress: Progress) -> Fitted:
    """The fit with its classes or its people, if it is of that kind."""
    choices, options = fitted.choices, fitted.options
    answers, person, seed = choices.answers, choices.person, options.seed
    if options.kind == "people":
        progress("fits of every person", 0, 1)
        people = fit_people(x, answers, person, seed)
        progress("fits of every person", 1, 1)
        return replace(fitted, people=people)
    if options.kind == "mixture":
        scores = compare_classes(
            x,
            answers,
            person,
            list(options.classes),
            seed,
            lambda done, total: progress("mixtures on people held out", done, total),
        )
        size = min(scores, key=lambda score: score.population).classes
        mixture = fit_mixture(x, answers, person, size, seed)
        return replace(fitted, mixtures=tuple(scores), mixture=mixture)
    return fitted


def _check_answers(choices: Choices, options: FitOptions) -> None:
    source = choices.source
    if choices.people < 2:
        raise InputError(f"{source}: answers of one person: expected two or more to compare")
    if choices.pair.max() < 1:
        raise InputError(f"{source}: answers about one pair: expected two or more to compare")
    for answer, share in zip(("left", "right", "coin"), choices.answers.mean(axis=0), strict=True):
        if share == 0:
            raise InputError(
                f"{source}: no answer is {answer} as coded {coding_text(choices.coding)}: nothing "
                "to fit"
            )
    for name in choices.asked.scale:
        if np.all(choices.a[name] == choices.b[name]):
            raise InputError(
                f"{source}: {name} never differs between left and right: nothing to fit"
            )
    if options.kind == "mixture" and max(options.classes) > choices.people // 2:
        raise InputError(
            f"{source}: {max(options.classes)} classes of {choices.people} people: expected at "
            "most one for every two"
        )


def as_values(fitted: Fitted, name: str) -> FittedValues:
    """The fit as it is saved."""
    choices, options = fitted.choices, fitted.options
    members = [
        _member(fitted, share, parameters)
        for share, parameters in zip(*_shares_and_parameters(fitted), strict=True)
    ]
    named = dict(zip(parameter_names(fitted), fitted.errors, strict=True))
    return FittedValues(
        name=name,
        kind=cast(Kind, options.kind),
        provenance="user",
        schema_name=choices.asked.schema,
        scale=dict(choices.asked.scale),
        directions=dict(choices.asked.directions),
        made=Made(
            source=choices.source,
            sha256=choices.sha256,
            answers=len(choices.answers),
            people=choices.people,
            coding=coding_text(choices.coding),
            order=options.order,
            seed=options.seed,
            resamples=options.resamples,
            warnings=fitted.warnings,
        ),
        errors={key: float(error) for key, error in named.items()},
        statistics=_statistics(fitted),
        members=tuple(members),
    )


def parameter_names(fitted: Fitted) -> list[str]:
    """What each parameter of the pooled fit is."""
    order = ["order"] if fitted.options.order else []
    return [*fitted.choices.asked.scale, *order, "log_tie"]


def _shares_and_parameters(fitted: Fitted) -> tuple[Floats, Floats]:
    if fitted.mixture:
        return fitted.mixture.shares, fitted.mixture.parameters
    if fitted.people:
        count = len(fitted.people.parameters)
        return np.full(count, 1 / count), fitted.people.parameters
    return np.ones(1), fitted.pooled[None]


def _member(fitted: Fitted, share: float, parameters: Floats) -> Member:
    fit = as_fit(parameters, fitted.choices.asked.scale, True, fitted.options.order)
    weights = {name: weight for name, (weight, _, _) in fit.weights.items()}
    return Member(share=share, log_tie=fit.log_tie, order=fit.order, weights=weights)


def _statistics(fitted: Fitted) -> dict[str, float]:
    """Log-losses an answer, in nats, and accuracies, by what was held out."""
    found = {"log_loss_fitted": fitted.log_loss}
    for what, scores in fitted.models.items():
        for model, score in scores.items():
            found[f"log_loss_{model}_held_out_{what}"] = score.log_loss
        found[f"accuracy_held_out_{what}"] = scores["min_diff"].accuracy
    if fitted.mixture:
        kept = len(fitted.mixture.shares)
        of_kept = next(score for score in fitted.mixtures if score.classes == kept)
        found["log_loss_mixture_held_out_people"] = of_kept.population
        found["log_loss_mixture_personal"] = of_kept.personal
    if fitted.people:
        found["log_loss_personal"] = fitted.people.log_loss
        found["accuracy_personal"] = fitted.people.accuracy
        found["spread_of_weights"] = fitted.people.spread
        found["spread_of_log_tie"] = fitted.people.tie_spread
    return found
