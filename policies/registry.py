"""Every policy by name, one line each, and how a written policy becomes an object."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from policies.calibrated import calibrated
from policies.composite import composite
from policies.davidson import Band, Davidson, modal
from policies.forced import MODES, force
from policies.human import freedman, human, human_assembly, human_half_a, human_half_b
from policies.live import live_policy
from policies.llm import llm_policy
from policies.official.australia import AustraliaOld
from policies.official.etkas import Etkas
from policies.official.kas import kas, kas_2021
from policies.official.pre_kas import pre_kas
from policies.official.quebec import Quebec
from policies.official.uk import Uk
from policies.protocol import Policy
from policies.rules import FirstCome, LifeYears, Lottery, Points
from policies.table import Table, table_policy
from policies.values_file import values_policy
from populations.errors import InputError, did_you_mean

Progress = Callable[[int, int], None]
MOST_BRACKETS = 20
_WAYS = ("table", "live")  # of using a language model; the schema may be named


@dataclass(frozen=True)
class Entry:
    """A policy ready to use: what it is in one line, and how it is made."""

    description: str
    make: Callable[[], Policy]


POLICIES: dict[str, Entry] = {
    "lottery": Entry("every eligible candidate has the same chance", Lottery),
    "first-come": Entry("the candidate listed longest ago", FirstCome),
    "points": Entry(
        "years waited or on dialysis plus the US cPRA scale (its values from memory, M)", Points
    ),
    "life-years": Entry(
        "the candidate expected to gain most life-years within 10 years", LifeYears
    ),
    "human": Entry("values and coin flips fitted to people's answers (McElfresh 2021)", human),
    "human-assembly": Entry(
        "a citizen drawn per decision from four classes fitted to the same answers", human_assembly
    ),
    "human-half-a": Entry(
        "as human, fitted to a random half of the 132 people alone", human_half_a
    ),
    "human-half-b": Entry("as human, fitted to the other half of the people", human_half_b),
    "freedman": Entry(
        "eight-profile weights by age, drinking, cancer (Freedman 2020); coin rate borrowed",
        freedman,
    ),
    "us-kas": Entry("US allocation as of December 2014 (KAS; its points from memory, M)", kas),
    "us-kas-2021": Entry(
        "US allocation since March 2021, circles of 250 nautical miles (points from memory, M)",
        kas_2021,
    ),
    "us-pre-kas": Entry("US allocation until December 2014 (much of it from memory, M)", pre_kas),
    "etkas": Entry("Eurotransplant since 2021: ETKAS points; donors of 65 and older by ESP", Etkas),
    "uk-2019": Entry(
        "United Kingdom since September 2019 (who enters tier A is from memory, M)", Uk
    ),
    "quebec": Entry("Transplant Québec's attribution score", Quebec),
    "australia-old": Entry(
        "Australia before 2021: well matched nationally, then New South Wales's state score",
        AustraliaOld,
    ),
}

# Written with an argument in them; shown by `equipoise policies`.
PATTERNS: dict[str, str] = {
    "llm:MODEL": "a language model by its litellm name, or llm:local for the embedded one, through "
    "a surrogate: values fitted to its answers",
    "table(llm:MODEL)": "a language model, every pair of a coarse schema asked once and looked up; "
    "table(llm:MODEL, SCHEMA) for another schema",
    "live(llm:MODEL)": "a language model asked inside the run, with --discretion pair or top:K; "
    "live(llm:MODEL, SCHEMA) for another schema",
    "values:NAME": "people's values fitted by `equipoise fit`: values/NAME.toml, or a .toml file",
    "modal(POLICY)": "always the most likely answer (temperature 0) of a fitted policy",
    "sampled(llm:MODEL)": "a language model answering at temperature 1 instead of 0",
    "with_coin(POLICY, OTHER)": "values of a fitted policy and its advantage of position, "
    "indecision (lambda) of another",
    "calibrated(POLICY, OTHER)": "values of a fitted policy without its advantage of position, as "
    "often undecided as OTHER on the same pairs; calibrated(POLICY, OTHER, FACTOR) for FACTOR "
    "times as often",
    "band(POLICY, DELTA)": "lots among all whom nobody beats by more than DELTA in utility",
    "composite(WEIGHTS)": "continuous distribution: rated attributes (ratings ours, A) summed with "
    "the user's weights; a TOML file or as in composite(waiting=0.6, cpra=0.4)",
    "forced(POLICY, MODE)": f"no coin; MODE is one of {', '.join(MODES)}",
}


def register(name: str, description: str) -> Callable[[Callable[[], Policy]], Callable[[], Policy]]:
    """Decorator that makes a policy class (or function) available by name."""

    def add(make: Callable[[], Policy]) -> Callable[[], Policy]:
        POLICIES[name] = Entry(description, make)
        return make

    return add


def split_policies(text: str) -> list[str]:
    """Split ``"a, forced(b, argmax)"`` at the commas outside brackets."""
    parts, depth, start = [], 0, 0
    for position, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth < 0:
            raise InputError(f"policy {text[:60]!r}: a bracket is closed that was never opened")
        if character == "," and depth == 0:
            parts.append(text[start:position].strip())
            start = position + 1
    if depth:
        raise InputError(f"policy {text[:60]!r}: a bracket is left open")
    return [*parts, text[start:].strip()]


def make_policy(text: str, answers: Path, progress: Progress | None = None) -> Policy:
    """The policy that ``text`` names.

    Parameters
    ----------
    text : str
        As in ``human``, ``llm:local``, ``forced(human, argmax)``, ``band(human, 0.2)``.
    answers : Path
        Where language models' answers are kept; missing ones are asked for.
    progress : callable, optional
        Told (done, total) while a model is asked.

    Raises
    ------
    InputError
        If the policy is unknown (the nearest name is suggested) or cannot be made.
    """
    if text.count("(") > MOST_BRACKETS or not text.isprintable():
        raise InputError(f"policy {text[:60]!a}: expected printable text with few brackets")
    name, bracket, inside = text.strip().partition("(")
    if bracket:
        if not inside.endswith(")"):
            raise InputError(f"policy {text!r}: expected a closing bracket at the end")
        return _wrapped(name.strip(), split_policies(inside[:-1]), text, answers, progress)
    if name.startswith("llm:"):
        return llm_policy(name.removeprefix("llm:"), answers, progress=progress)
    if name.startswith("values:"):
        return values_policy(name.removeprefix("values:"))
    if name not in POLICIES:
        known = [*POLICIES, *PATTERNS]
        hint = did_you_mean(name, known, cutoff=0.5)
        raise InputError(f"unknown policy {name!r}: {hint}expected one of {', '.join(known)}")
    return POLICIES[name].make()


def _wrapped(
    wrapper: str, arguments: list[str], text: str, answers: Path, progress: Progress | None
) -> Policy:
    shape = next((each for each in PATTERNS if each.startswith(f"{wrapper}(")), None)
    if shape is None:
        raise InputError(f"unknown policy {text!r}: expected {', '.join(PATTERNS)}")
    if wrapper in _WAYS:
        return _asked(wrapper, arguments, text, answers, progress, coin=True)
    if wrapper == "composite":
        return composite(", ".join(arguments))
    if wrapper == "calibrated" and len(arguments) in (2, 3):
        factor = _factor(arguments[2], text) if arguments[2:] else 1.0
        base, other = (make_policy(each, answers, progress) for each in arguments[:2])
        return calibrated(_fitted(base, arguments[0], text), other, factor)
    if len(arguments) != shape.count(",") + 1:
        raise InputError(f"policy {text!r}: expected {shape}")
    inner, *options = arguments
    if wrapper == "forced" and options[0] == "as_measured":
        way, _, inside = inner.partition("(")
        way = way.strip()
        if inner.startswith("llm:"):
            return llm_policy(inner.removeprefix("llm:"), answers, coin=False, progress=progress)
        if way in _WAYS:
            parts = split_policies(inside.removesuffix(")"))
            return _asked(way, parts, inner, answers, progress, coin=False)
    if wrapper == "forced":
        _check_mode(inner, options[0])
    base = make_policy(inner, answers, progress)
    if wrapper == "forced":
        return force(base, options[0])
    fitted = _fitted(base, inner, text)
    if wrapper == "band":
        return Band(f"band({base.name}, {options[0]})", fitted, _delta(options[0], text))
    if wrapper == "with_coin":
        other = make_policy(options[0], answers, progress)
        coin = _fitted(other, options[0], text).log_tie
        # The advantage of position stays: a model's choices rest on it as they do on its values.
        return replace(fitted, name=f"with_coin({base.name}, {other.name})", log_tie=coin, card={})
    return modal(fitted) if wrapper == "modal" else replace(fitted, name=f"sampled({base.name})")


def _check_mode(inner: str, mode: str) -> None:
    """Refuse a mode that means nothing for a language model before the model is asked."""
    if inner.startswith("llm:"):
        force(Band(inner, human(), 0.0), mode)
    elif inner.partition("(")[0].strip() == "table":
        force(Table(inner, "", np.empty((0, 0), dtype=np.int8)), mode)


def _asked(
    way: str,
    arguments: list[str],
    text: str,
    answers: Path,
    progress: Progress | None,
    *,
    coin: bool,
) -> Policy:
    """``table(llm:MODEL)`` or ``live(llm:MODEL)``, with or without a schema."""
    if not arguments[0].startswith("llm:") or len(arguments) > 2:
        raise InputError(f"policy {text!r}: expected {way}(llm:MODEL) or {way}(llm:MODEL, SCHEMA)")
    model = arguments[0].removeprefix("llm:")
    schema = {"schema": arguments[1]} if arguments[1:] else {}
    if way == "live":
        return live_policy(model, answers, coin=coin, **schema)
    return table_policy(model, answers, coin=coin, progress=progress, **schema)


def _fitted(base: Policy, inner: str, text: str) -> Davidson:
    # A language model comes as the band around its fit; another band would be lost unnoticed.
    fitted = base.base if isinstance(base, Band) and inner.startswith("llm:") else base
    if not isinstance(fitted, Davidson):
        raise InputError(f"policy {text!r}: {inner} has no fitted utilities")
    return fitted


def _factor(option: str, text: str) -> float:
    try:
        factor = float(option)
    except ValueError:
        factor = 0.0
    if not 0 < factor < float("inf"):
        raise InputError(f"policy {text!r}: FACTOR = {option!r}: expected a number > 0")
    return factor


def _delta(option: str, text: str) -> float:
    try:
        delta = float(option)
    except ValueError:
        delta = -1.0
    if not 0 <= delta < float("inf"):
        raise InputError(f"policy {text!r}: DELTA = {option!r}: expected a number >= 0")
    return delta
