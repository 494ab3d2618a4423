"""How a model is tuned: every setting in one place, kept in the adapter's card."""

from dataclasses import dataclass

from populations.errors import InputError


@dataclass(frozen=True)
class Recipe:
    """Settings of low-rank tuning.

    The defaults were chosen by trials on the embedded model with other pairs than it is judged on
    (D).

    Parameters
    ----------
    layers : int
        How many layers, the last ones, are changed.
    rank : int
        Rank of every low-rank map; they are scaled by 2.
    learning_rate : float
        Its highest value: it rises over the first twentieth of the steps and falls as a cosine.
    weight_decay : float
        Of AdamW: with what the weights shrink in every step, as a multiple of the learning rate. It
        is large because the directions are many and the answers few.
    steps : int
        Most steps of AdamW.
    batch : int
        Questions per step.
    held_out : float
        Share of the people held out, with all pairs they judged, to say when to stop.
    check_every : int
        Steps between two looks at the held-out answers. The adapter that is kept is the one with
        the lowest log-loss on them.
    seed : int
        Everything random follows from it.

    Raises
    ------
    InputError
        If a setting makes no sense.
    """

    layers: int = 2
    rank: int = 48
    learning_rate: float = 5e-4
    weight_decay: float = 100.0
    steps: int = 100
    batch: int = 128
    held_out: float = 0.125
    check_every: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("layers", 1, 1024),
            ("rank", 1, 1024),
            ("learning_rate", 1e-9, 1.0),
            ("weight_decay", 0.0, 1000.0),
            ("steps", 1, 100_000),
            ("batch", 1, 4096),
            ("held_out", 0.01, 0.9),
            ("check_every", 1, 100_000),
            ("seed", 0, 2**63),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(f"{name} = {value}: expected {low:g} to {high:g}")
