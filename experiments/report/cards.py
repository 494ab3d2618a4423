"""What a card of a language model must hold, checked when a study is read."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from populations.errors import InputError


def _within_one(share: float) -> float:
    """A share, or NaN: of no answers at all."""
    if not (math.isnan(share) or 0 <= share <= 1):
        raise ValueError("expected a share from 0 to 1")
    return share


Share = Annotated[float, AfterValidator(_within_one)]
Count = Annotated[int, Field(ge=0)]


class _Card(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)

    model: str
    prompt: str
    schema_: str = Field(alias="schema")
    coin_offered: bool


class _Live(_Card):
    """Of a model asked inside the run; see ``policies.live``."""

    way: Literal["live"]
    kept: Count
    kept_unusable: Count


class _Asked(_Card):
    """Of a model asked about pairs beforehand; see ``policies.llm.card``."""

    way: Literal["surrogate", "table"]
    pairs: Count
    unusable: Share
    other_mass: Share
    mean_first: Share
    mean_second: Share
    mean_coin: Share | None
    first_modal: Share
    second_modal: Share
    coin_modal: Share
    same_position: Share
    same_patient: Share
    coin_both: Share
    order: float | None = None
    held_out_total_variation: Share | None = None
    held_out_total_variation_constant: Share | None = None
    held_out_modal_agreement: Share | None = None
    held_out_modal_agreement_constant: Share | None = None


def check_cards(cards: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Raise InputError unless every card of a language model holds what is told of it."""
    for arm, card in cards.items():
        if "model" not in card:
            continue
        try:
            (_Live if card.get("way") == "live" else _Asked).model_validate(dict(card))
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            given = "missing" if first["type"] == "missing" else repr(card.get(key))
            said = first["msg"].removeprefix("Value error, ")
            raise InputError(
                f"{path}: cards: {arm!r}: {key}: {given}: {said[:1].lower()}{said[1:]}; run "
                "`equipoise run compare` again"
            ) from None
