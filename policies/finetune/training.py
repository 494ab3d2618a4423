"""Low-rank tuning on people's answers: the loss is on the one token of the answer."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.finetune.prefixes import Prefixes
from policies.finetune.recipe import Recipe
from policies.finetune.start import start_where_prompts_differ

ALPHA_PER_RANK = 2
WARM_UP = 0.05
LARGEST_GRADIENT = 1.0
MEMORY = 20  # steps
SCORING_BATCH = 64

Ints = NDArray[np.int_]
Floats = NDArray[np.float64]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Lesson:
    """Questions and answers a model learns from, or is judged by.

    Parameters
    ----------
    prefixes : Prefixes
        Of all prompts that are ever asked.
    rows : ndarray of int, shape (n,)
        Which of them these are.
    answers : ndarray of int, shape (n,)
        0, 1, 2: the first shown, the second, the coin.
    """

    prefixes: Prefixes
    rows: Ints
    answers: Ints


@dataclass(frozen=True)
class Tuned:
    """A model with its adapter, as it was when the held-out answers were likeliest.

    Parameters
    ----------
    model
        The last layers with their adapter, of peft.
    step : int
        After how many steps that was.
    history : list of (step, log-loss while training, log-loss of the held-out answers)
    """

    model: Any
    step: int
    history: list[tuple[int, float, float]]


@contextmanager
def tuned(
    part: Any,
    letters: list[int],
    lesson: Lesson,
    held_out: Lesson,
    recipe: Recipe,
    progress: Progress | None = None,
) -> Iterator[Tuned]:
    """Fit an adapter to answers, and stop where the held-out ones are likeliest.

    Of each low-rank pair the second map is fitted, the first stays as it begins. What is judged and
    kept is the moving average of its weights, since single steps are noisy. The same recipe and
    lesson give the same adapter on the same machine.

    Parameters
    ----------
    part
        The last layers of a model (see `policies.finetune.prefixes.last_layers`). It carries the
        adapter as long as the context lasts, and is as before afterwards.
    letters : list of int
        The tokens of the answers A, B, C.
    """
    import torch
    from peft import get_peft_model

    torch.manual_seed(recipe.seed)
    model = get_peft_model(part, lora_config(recipe.rank, "all-linear"))
    start_where_prompts_differ(model, lesson.prefixes, lesson.rows.tolist())
    weights = [weight for name, weight in model.named_parameters() if ".lora_B." in name]
    average = [weight.detach().clone() for weight in weights]
    best, kept, history, losses = (math.inf, 0), average, [], []
    for step, loss in _steps(model, weights, letters, lesson, recipe):
        losses.append(loss)
        _move(average, weights, step)
        if step % recipe.check_every == 0 or step == recipe.steps:
            with _weights_set(weights, average):
                now = log_loss(model, letters, held_out)
            history.append((step, float(np.mean(losses)), now))
            losses.clear()
            if now < best[0]:
                best, kept = (now, step), [values.clone() for values in average]
        if progress is not None:
            progress(step, recipe.steps)
    try:
        with _weights_set(weights, kept):
            yield Tuned(model, best[1], history)
    finally:
        model.unload()


def _steps(
    model: Any, weights: list[Any], letters: list[int], lesson: Lesson, recipe: Recipe
) -> Iterator[tuple[int, float]]:
    """Take the steps of AdamW; after each, its number and the log-loss it began from."""
    import torch

    optimiser = torch.optim.AdamW(
        weights, lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: _relative_rate(step, recipe.steps)
    )
    targets = torch.tensor(letters, device=model.device)[torch.tensor(lesson.answers)]
    batches = _batches(len(lesson.rows), recipe)
    for step in range(1, recipe.steps + 1):
        picked = next(batches)
        model.train()
        inputs = lesson.prefixes.inputs(lesson.rows[picked].tolist(), model)
        logits = model(**inputs).logits[:, -1].float()
        loss = torch.nn.functional.cross_entropy(logits, targets[picked])
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, LARGEST_GRADIENT)
        optimiser.step()
        schedule.step()
        yield step, loss.item()


def _move(average: list[Any], weights: list[Any], step: int) -> None:
    """Move the average towards the weights of now: it remembers the last ``MEMORY`` steps or so."""
    towards = max(1 / MEMORY, 1 / step)
    for mean, weight in zip(average, weights, strict=True):
        mean.lerp_(weight.detach(), towards)


@contextmanager
def _weights_set(weights: list[Any], values: list[Any]) -> Iterator[None]:
    """Give weights other values for as long as the context lasts."""
    before = [weight.detach().clone() for weight in weights]
    for weight, value in zip(weights, values, strict=True):
        weight.data.copy_(value)
    try:
        yield
    finally:
        for weight, value in zip(weights, before, strict=True):
            weight.data.copy_(value)


def lora_config(rank: int, targets: str | list[str], **more: Any) -> Any:
    """Settings of peft for low-rank maps beside the linear maps named ``targets``."""
    from peft import LoraConfig

    return LoraConfig(
        r=rank,
        lora_alpha=ALPHA_PER_RANK * rank,
        target_modules=targets,
        task_type="CAUSAL_LM",
        **more,
    )


def _relative_rate(step: int, steps: int) -> float:
    warm_up = min(1.0, (step + 1) / (WARM_UP * steps))
    return warm_up * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))


def _batches(n: int, recipe: Recipe) -> Any:
    """Numbers of the questions of each step: all of them before any again, in a new order."""
    rng = np.random.default_rng([recipe.seed, 3])
    waiting: list[int] = []
    while True:
        while len(waiting) < recipe.batch:
            waiting.extend(rng.permutation(n).tolist())
        yield waiting[: recipe.batch]
        del waiting[: recipe.batch]


def probabilities(model: Any, letters: list[int], prefixes: Prefixes, rows: Ints) -> Floats:
    """P(A), P(B), P(C) as the next token of each prompt, shape (n, 3); the rest is other tokens."""
    import torch

    model.eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(rows), SCORING_BATCH):
            inputs = prefixes.inputs(rows[start : start + SCORING_BATCH].tolist(), model)
            logits = model(**inputs).logits[:, -1].float()
            parts.append(logits.softmax(dim=-1)[:, letters].cpu())
    return np.asarray(torch.cat(parts).double().numpy())


def log_loss(model: Any, letters: list[int], lesson: Lesson) -> float:
    """Mean log-loss of answers, over all tokens that could have been said, in nats."""
    given = probabilities(model, letters, lesson.prefixes, lesson.rows)
    likelihood = given[np.arange(len(given)), lesson.answers]
    return float(-np.log(np.maximum(likelihood, 1e-12)).mean())
