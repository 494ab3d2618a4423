"""Each arm in words: who decides, how a language model was asked, how well its stand-in does."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from experiments.tables import WAYS, model_rows, model_sentence
from policies.forced import MODES
from policies.registry import PATTERNS, POLICIES, split_policies

_TEMPERATURES = {
    "sampled": "its answers drawn with their probabilities (temperature 1)",
    "llm": "always its most likely answer (temperature 0)",
    "table": "always its most likely answer (temperature 0)",
    "live": "always its most likely answer (temperature 0)",
    "modal": "always its most likely answer (temperature 0)",
}


class Arm(NamedTuple):
    """One policy as the page presents it.

    Parameters
    ----------
    name, description : str
    facts : tuple of (str, str)
        What else must be known of it, with a heading each.
    answers : tuple of (str, str)
        Of a language model: what it did with the questions, and its stand-in's fidelity.
    """

    name: str
    description: str
    facts: tuple[tuple[str, str], ...]
    answers: tuple[tuple[str, str], ...]


def describe(name: str, card: Mapping[str, Any]) -> Arm:
    """An arm by its name and by what is known of how it was made."""
    facts = [("Decides", when)] if (when := _temperature(name)) else []
    answers: tuple[tuple[str, str], ...] = ()
    if "model" in card:
        asked = "offered a coin" if card["coin_offered"] else "not offered a coin"
        facts += [
            ("Model", str(card["model"]) + _adapter(name)),
            (
                "How it decides in the waitlist",
                f"By {card['way']}: {WAYS[card['way']]}.",
            ),
            (
                "How it was asked",
                f"Prompt {card['prompt']}, patients described as in {card['schema']}, "
                f"{asked}" + (f", {card['pairs']} pairs in both orders" if "pairs" in card else ""),
            ),
            ("What it answered", model_sentence(name, card)),
        ]
        answers = tuple(model_rows(card))
    if "provenance" in card:
        facts.append(("To know of it", str(card["provenance"])))
    return Arm(name, description(name), tuple(facts), answers)


def _adapter(name: str) -> str:
    """A tuned model's adapter, which its card does not name apart."""
    adapter = name.partition("+")[2].rstrip(")").partition(",")[0]
    return f", tuned with the adapter {adapter}" if adapter else ""


def description(name: str) -> str:
    """Who decides under a policy, from the register of policies; of those inside it too."""
    if name in POLICIES:
        return POLICIES[name].description
    outer, bracket, inside = name.partition("(")
    if name.startswith("llm:"):
        return "a language model, through a stand-in (a surrogate): values fitted to its answers"
    if not bracket:
        shape = next((key for key in PATTERNS if key.startswith(f"{name.partition(':')[0]}:")), "")
        return PATTERNS.get(shape, "a policy of this study's own")
    shape = next((key for key in PATTERNS if key.startswith(f"{outer}(")), "")
    if not shape:
        return "a policy of this study's own"
    inner = split_policies(inside.removesuffix(")"))
    mode = inner[-1] if outer == "forced" else ""
    kind = "attribute:NAME" if mode.startswith("attribute:") else mode
    said = [MODES.get(kind) or _filled(shape, inner)]
    told = [f"{each}: {description(each)}" for each in inner if _is_policy(each)]
    return ". Here ".join([*said, *told])


def _filled(shape: str, given: list[str]) -> str:
    """What a pattern is in general, with the arguments of one policy in it."""
    text = PATTERNS[shape].partition(";")[0]  # what follows is about other ways to write it
    words = split_policies(shape.partition("(")[2].removesuffix(")"))
    for word, argument in zip(words, given, strict=False):
        text = text.replace(word, argument)
    factor = given[len(words) :]
    return f"{text}, times {factor[0]}" if factor and shape.startswith("calibrated") else text


def _is_policy(text: str) -> bool:
    return text in POLICIES or text.startswith(("llm:", "values:")) or "(" in text


def _temperature(name: str) -> str:
    return _TEMPERATURES.get(name.partition("(")[0].partition(":")[0], "")
