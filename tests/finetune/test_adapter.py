"""An adapter of the embedded model, in torch and as llama.cpp serves it."""

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: `make test-finetune`")
torch.set_num_threads(1)  # two that wait for each other are slower on busy cores

from policies.ask import asking  # noqa: E402
from policies.elicit import Battery  # noqa: E402
from policies.finetune.adapter import adapted, save_adapter, whole_weights  # noqa: E402
from policies.finetune.base import Base, load_base  # noqa: E402
from policies.finetune.prefixes import last_layers  # noqa: E402
from policies.finetune.training import lora_config  # noqa: E402
from policies.local_model import adapter_key  # noqa: E402

LAYERS, RANK = 3, 4


@pytest.fixture(scope="module")
def base() -> Base:
    return load_base("local")


@pytest.fixture(scope="module")
def part(base: Base):
    """The last layers with an adapter of random weights, strong enough to change the answers."""
    from peft import get_peft_model

    torch.manual_seed(1)
    model = get_peft_model(last_layers(base, LAYERS), lora_config(RANK, "all-linear"))
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            weight.data.normal_(std=1.0)
    return model


@pytest.mark.slow_model
def test_llama_cpp_answers_as_torch_does(base: Base, part, tmp_path: Path) -> None:
    battery = Battery(n_pairs=4)
    questions = [
        battery.messages(*shown) for pair in battery.lists() for shown in (pair, pair[::-1])
    ]
    save_adapter(base, part, RANK, {"what": "random"}, tmp_path / "random")

    def answered(model) -> np.ndarray:
        found = []
        for question in questions:
            tokens = torch.tensor([base.tokens(question)])
            with torch.inference_mode():
                logits = model(input_ids=tokens).logits[0, -1]
            found.append(logits.softmax(dim=-1)[base.letters].numpy())
        return np.array(found)

    def served(model: str) -> np.ndarray:
        with asking(model, battery.form) as door:
            answers = [door(question) for question in questions]
        return np.array([[*answer.chosen, answer.coin] for answer in answers])

    raw, tuned = answered(base.model), None
    with adapted(base, whole_weights(base, part), RANK) as model:
        tuned = answered(model)
    change = np.abs(tuned - raw).mean()
    assert change > 0.1
    assert np.abs(served("local") - raw).max() < 0.01
    assert np.abs(served(f"local+{tmp_path / 'random'}") - tuned).max() < 0.01


def test_what_is_saved(base: Base, part, tmp_path: Path) -> None:
    from peft import PeftConfig

    save_adapter(base, part, RANK, {"what": "random"}, tmp_path / "random")
    folder = tmp_path / "random"
    assert json.loads((folder / "card.json").read_text()) == {"what": "random"}
    config = PeftConfig.from_pretrained(str(folder / "peft"))
    assert config.alora_invocation_tokens == base.tail
    assert sorted(config.layers_to_transform) == [27, 28, 29]
    assert adapter_key(str(folder)).startswith("random@")
