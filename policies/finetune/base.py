"""The model that is tuned: loading it, and the tokens of its prompts and answers."""

import os
from dataclasses import dataclass
from typing import Any

from policies.ask import LOCAL, Messages
from policies.local_model import weights_file
from populations.errors import InputError

LETTERS = "ABC"


@dataclass(frozen=True)
class Base:
    """A model and its tokenizer, ready for computing.

    Parameters
    ----------
    name : str
        ``local``, or what transformers knows it by.
    model, tokenizer
        Of transformers; the model is frozen.
    tail : list of int
        The tokens that open the assistant's turn.
    letters : list of int
        The tokens of the answers A, B, C.
    """

    name: str
    model: Any
    tokenizer: Any
    tail: list[int]
    letters: list[int]

    def tokens(self, messages: Messages) -> list[int]:
        """A prompt's tokens, those of the tail last."""
        text = self.tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
        tokens: list[int] = self.tokenizer(text, add_special_tokens=False).input_ids
        if tokens[-len(self.tail) :] != self.tail:
            raise InputError(f"model {self.name!r}: its prompts do not end in one fixed way")
        return tokens


def load_base(name: str) -> Base:
    """Load a model for training: the embedded one (``local``), a folder, or a hub's name.

    Raises
    ------
    InputError
        If the training packages are not installed, or there is no such model to be had.
    """
    _training_packages()
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    source: dict[str, str] = {"pretrained_model_name_or_path": name}
    if name == LOCAL:
        weights = weights_file()
        source = {"pretrained_model_name_or_path": str(weights.parent), "gguf_file": weights.name}
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if _has_fast_bfloat16(device) else torch.float32
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(**source)
        model = transformers.AutoModelForCausalLM.from_pretrained(**source, dtype=dtype)
    except (OSError, ValueError) as error:
        cause = " ".join(str(error).split())[:200]
        raise InputError(
            f"model {name!r} cannot be loaded: {cause} (expected local, the folder of a model in "
            "the format of transformers, or a hub's name where a hub can be reached)"
        ) from error
    model.requires_grad_(False).eval().to(device)
    return Base(name, model, tokenizer, _tail(name, tokenizer), _letters(name, tokenizer))


def _has_fast_bfloat16(device: str) -> bool:
    """Whether bfloat16 is worth it: a processor without it was measured to be 60 times slower."""
    import torch

    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _tail(name: str, tokenizer: Any) -> list[int]:
    """The tokens after a user's last word, up to the assistant's first."""
    word = "equipoise"
    if not tokenizer.chat_template:
        raise InputError(f"model {name!r} has no chat template: expected an instruction-tuned one")
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": word}], tokenize=False, add_generation_prompt=True
    )
    tail: list[int] = tokenizer(text.rpartition(word)[2], add_special_tokens=False).input_ids
    return tail


def _letters(name: str, tokenizer: Any) -> list[int]:
    tokens = [tokenizer.encode(letter, add_special_tokens=False) for letter in LETTERS]
    if any(len(letter) != 1 for letter in tokens):
        raise InputError(f"model {name!r}: its tokenizer has no single tokens for A, B and C")
    return [letter[0] for letter in tokens]


def use_threads(threads: int) -> None:
    """How many processor cores one process computes with.

    Raises
    ------
    InputError
        If torch is not installed, or the number makes no sense.
    """
    if threads < 1:
        raise InputError(f"threads = {threads}: expected 1 or more")
    _training_packages()
    import torch

    torch.set_num_threads(threads)


def _training_packages() -> None:
    """Raise InputError unless they are installed."""
    os.environ.setdefault("TQDM_DISABLE", "1")  # read when tqdm is imported
    try:
        import peft  # noqa: F401
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"tuning needs torch, transformers and peft ({error}): run `make finetune`, or "
            "`pip install 'equipoise[finetune]'`"
        ) from error
