"""Tuning itself, on a small model with random weights and the embedded model's tokenizer."""

import math
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: `make test-finetune`")

from policies.elicit import Battery  # noqa: E402
from policies.finetune import training  # noqa: E402
from policies.finetune.adapter import adapted, whole_weights  # noqa: E402
from policies.finetune.base import Base, load_base  # noqa: E402
from policies.finetune.prefixes import Prefixes, last_layers, read_prefixes  # noqa: E402
from policies.finetune.recipe import Recipe  # noqa: E402
from policies.finetune.training import Lesson, log_loss, probabilities, tuned  # noqa: E402
from populations.errors import InputError  # noqa: E402

COIN = 2
LAYERS = 2


@pytest.fixture(scope="session")
def prompts(base: Base) -> list[list[int]]:
    battery = Battery(n_pairs=40)
    return [base.tokens(battery.messages(*pair)) for pair in battery.lists()]


@pytest.fixture(scope="session")
def prefixes(base: Base, prompts: list[list[int]]) -> Prefixes:
    return read_prefixes(base, prompts, LAYERS)


@pytest.fixture(scope="session")
def part(base: Base):
    return last_layers(base, LAYERS)


def _whole(model, prompt: list[int], letters: list[int]) -> np.ndarray:
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([prompt])).logits[0, -1].float()
    return logits.softmax(dim=-1)[letters].numpy()


def _lessons(prefixes: Prefixes, answers: np.ndarray) -> tuple[Lesson, Lesson]:
    rows = np.arange(len(prefixes))
    return Lesson(prefixes, rows[:30], answers[:30]), Lesson(prefixes, rows[30:], answers[30:])


def test_a_prefix_and_its_tail_are_the_whole_prompt(base, part, prompts, prefixes) -> None:
    assert len({len(prompt) for prompt in prompts}) > 1  # else padding is not tried
    rows = np.arange(len(prompts))
    expected = [_whole(base.model, prompt, base.letters) for prompt in prompts]
    found = probabilities(part, base.letters, prefixes, rows)
    assert found == pytest.approx(np.array(expected), rel=1e-3)
    assert (np.std(expected, axis=0) / np.mean(expected, axis=0)).min() > 0.05  # prompts differ


def test_what_everybody_answers_is_learned_and_the_model_is_given_back(
    base, part, prefixes
) -> None:
    learned, held_out = _lessons(prefixes, np.full(40, COIN))
    before = log_loss(part, base.letters, held_out)
    recipe = Recipe(steps=60, check_every=20, batch=8, weight_decay=0.0, learning_rate=0.1)
    with tuned(part, base.letters, learned, held_out, recipe) as result:
        after = log_loss(result.model, base.letters, held_out)
        assert after == pytest.approx(min(loss for _, _, loss in result.history), rel=1e-5)
    assert before > 8
    assert after < 3
    assert log_loss(part, base.letters, held_out) == before


def test_the_adapter_kept_is_the_one_with_the_likeliest_held_out_answers(
    base, part, prefixes, monkeypatch
) -> None:
    learned, held_out = _lessons(prefixes, np.full(40, COIN))
    recipe = Recipe(steps=20, check_every=5, batch=8, learning_rate=0.01)

    def kept(*losses: float) -> tuple[int, np.ndarray]:
        planned = iter(losses)
        monkeypatch.setattr(training, "log_loss", lambda *_: next(planned))
        with tuned(part, base.letters, learned, held_out, recipe) as result:
            given = probabilities(result.model, base.letters, prefixes, np.arange(4))
        return result.step, given

    step, early = kept(4, 1, 2, 3)
    assert step == 10
    same_step, same = kept(9, 1, 5, 5)
    assert same_step == 10
    assert (same == early).all()
    last_step, last = kept(4, 3, 2, 1)
    assert last_step == 20
    assert last[:, COIN].mean() > 1.1 * early[:, COIN].mean()


def test_the_same_recipe_gives_the_same_adapter(base, part, prefixes) -> None:
    learned, held_out = _lessons(prefixes, np.arange(40) % 3)
    histories = []
    for seed in (0, 0, 1):
        recipe = Recipe(steps=5, check_every=5, batch=8, seed=seed)
        with tuned(part, base.letters, learned, held_out, recipe) as result:
            histories.append(result.history)
    assert histories[0] == histories[1]
    assert histories[0] != histories[2]


def test_the_whole_model_with_the_adapter_answers_like_its_last_layers(
    base, part, prompts, prefixes
) -> None:
    """It works from the tail on and nowhere before it: else the prefixes would not hold."""
    learned, held_out = _lessons(prefixes, np.full(40, COIN))
    recipe = Recipe(steps=30, check_every=30, batch=8, learning_rate=0.02, weight_decay=0.0)
    with tuned(part, base.letters, learned, held_out, recipe) as result:
        found = probabilities(result.model, base.letters, prefixes, np.arange(5))
        weights = whole_weights(base, result.model)
    with adapted(base, weights, recipe.rank) as model:
        whole = [_whole(model, prompt, base.letters) for prompt in prompts[:5]]
    assert found == pytest.approx(np.array(whole), rel=1e-3)
    untouched = [_whole(base.model, prompt, base.letters) for prompt in prompts[:5]]
    assert (np.array(whole)[:, COIN] > 5 * np.array(untouched)[:, COIN]).all()


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be loaded"):
        load_base(str(tmp_path / "nowhere"))


def test_learning_rate_rises_and_falls() -> None:
    from policies.finetune.training import _relative_rate

    rates = [_relative_rate(step, 100) for step in range(100)]
    assert rates.index(max(rates)) == 4
    assert rates[-1] < 0.001
    assert math.isclose(rates[0], 0.2)
