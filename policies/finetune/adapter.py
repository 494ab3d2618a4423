"""Saving an adapter: for peft, for llama.cpp, and with a card that says how it was made."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from policies.ask import LOCAL
from policies.finetune.base import Base
from policies.finetune.training import ALPHA_PER_RANK, lora_config
from policies.local_model import weights_file
from populations.errors import InputError

_PREFIX = "base_model.model."
_LAYER = re.compile(r"\.layers\.(\d+)\.")


def save_adapter(base: Base, part: Any, rank: int, card: dict[str, Any], folder: Path) -> None:
    """Write ``peft/``, ``adapter.gguf`` (for the embedded model) and ``card.json`` into a folder.

    Parameters
    ----------
    part
        The last layers of ``base`` with their adapter, of peft.

    Raises
    ------
    InputError
        If the folder cannot be written to.
    """
    weights = whole_weights(base, part)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with adapted(base, weights, rank) as model:
            model.save_pretrained(folder / "peft")
        if base.name == LOCAL:
            write_gguf(base, weights, rank, folder / "adapter.gguf")
        (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"adapter {folder}: cannot be written: {error}") from error


def whole_weights(base: Base, part: Any) -> dict[str, Any]:
    """The adapter's weights, named after the layers of the whole model."""
    from peft import get_peft_model_state_dict

    skipped = base.model.config.num_hidden_layers - part.config.num_hidden_layers
    weights = get_peft_model_state_dict(part).items()
    return {
        _LAYER.sub(lambda m: f".layers.{int(m[1]) + skipped}.", k): v.clone() for k, v in weights
    }


@contextmanager
def adapted(base: Base, weights: dict[str, Any], rank: int) -> Iterator[Any]:
    """The whole model with an adapter that works from the tail on, as long as the context lasts."""
    from peft import get_peft_model, set_peft_model_state_dict

    layers = sorted({int(_LAYER.search(name)[1]) for name in weights})  # type: ignore[index]
    targets = sorted({name.split(".")[-3] for name in weights})
    config = lora_config(
        rank, targets, alora_invocation_tokens=base.tail, layers_to_transform=layers
    )
    model = get_peft_model(base.model, config)
    set_peft_model_state_dict(model, weights)
    try:
        yield model.eval()
    finally:
        model.unload()


def write_gguf(base: Base, weights: dict[str, Any], rank: int, path: Path) -> None:
    """Write an adapter of the embedded model as llama.cpp reads it, in half precision.

    llama.cpp pairs the two halves of a rotary embedding differently, so the rows of the query's and
    key's output maps are put in its order.
    """
    import gguf

    reader = gguf.GGUFReader(weights_file())
    layers = reader.fields["llama.block_count"].contents()
    heads = {
        "q_proj": reader.fields["llama.attention.head_count"].contents(),
        "k_proj": reader.fields["llama.attention.head_count_kv"].contents(),
    }
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, layers)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(ALPHA_PER_RANK * rank))
    writer.add_key_value(
        gguf.Keys.Adapter.ALORA_INVOCATION_TOKENS,
        base.tail[1:],  # llama.cpp begins at the token before the sequence it is given
        gguf.GGUFValueType.ARRAY,
        gguf.GGUFValueType.UINT32,
    )
    for key, weight in weights.items():
        layer, part, _ = key.removeprefix(_PREFIX).rsplit(".", 2)
        values = weight.float().cpu().numpy()
        kind = layer.rpartition(".")[2]
        if part == "lora_B" and kind in heads:
            values = _paired(values, heads[kind])
        name = f"{names.get_name(layer)}.weight.{part.lower()}"
        writer.add_tensor(name, values.astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _paired(rows: np.ndarray, heads: int) -> np.ndarray:
    """Rows of each head, first and second half interleaved."""
    halves = rows.reshape(heads, 2, -1, rows.shape[1])
    return halves.swapaxes(1, 2).reshape(rows.shape)
