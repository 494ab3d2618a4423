"""How a model is tuned: every setting in one place, kept in the adapter's card."""

from dataclasses import dataclass

from populations.errors import InputError


@dataclass(frozen=True)
class Recipe:
    """Settings of low-rank tuning.

    The defaults were chosen by trials on the embedded model (D). Below about 100 steps nothing but
    the rates of the answers is learned; then it goes fast.

    Parameters
    ----------
    rank : int
        Rank of every low-rank map; they are scaled by 2.
    learning_rate : float
        Its highest value: it rises over the first twentieth of the steps and falls as a cosine.
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

    rank: int = 16
    learning_rate: float = 2e-3
    steps: int = 300
    batch: int = 32
    held_out: float = 0.125
    check_every: int = 25
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("rank", 1, 1024),
            ("learning_rate", 0.0, 1.0),
            ("steps", 1, 100_000),
            ("batch", 1, 4096),
            ("held_out", 0.0, 0.9),
            ("check_every", 1, 100_000),
            ("seed", 0, 2**63),
        ):
            value = getattr(self, name)
            if not low <= value <= high or (low == 0.0 and name != "seed" and value == 0):
                raise InputError(f"{name} = {value}: expected {low} to {high}")
