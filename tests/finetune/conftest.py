"""A small model with random weights and the embedded model's tokenizer."""

import pytest


@pytest.fixture(scope="session")
def base():
    """Three layers with random weights: fast, and a function of the whole prompt."""
    torch = pytest.importorskip("torch", reason="torch is not installed: `make test-finetune`")
    torch.set_num_threads(1)  # two that wait for each other are slower on busy cores
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from policies.finetune import base as module
    from policies.local_model import weights_file

    weights = weights_file()
    tokenizer = AutoTokenizer.from_pretrained(str(weights.parent), gguf_file=weights.name)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.3,
    )
    model = LlamaForCausalLM(config).requires_grad_(False).eval()
    tail, letters = module._tail("tiny", tokenizer), module._letters("tiny", tokenizer)
    return module.Base("tiny", model, tokenizer, tail, letters)
