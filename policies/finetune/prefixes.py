"""What the untouched model makes of each prompt, up to where the adapter begins to work.

The adapter changes the last layers only, and only the last few tokens of a prompt, which open the
assistant's turn (an "activated" low-rank adapter: Greenewald et al. 2025). Everything before is the
untouched model's: it is computed once, and used by every step of every training.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from policies.finetune.base import Base

BATCH = 32

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Prefixes:
    """n prompts as the last layers find them.

    Parameters
    ----------
    opening : tensor, shape (layers, 2, heads, shared, width)
        Keys and values of the tokens that all prompts begin with, in the last layers.
    rest : tensor, shape (n, layers, 2, heads, longest, width)
        Of what follows, up to the tail; padded at the end.
    lengths : tensor of int, shape (n,)
        How much of ``rest`` is not padding.
    tail : tensor, shape (n, tail, hidden)
        What enters the first of the last layers at the tail's tokens.
    """

    opening: Any
    rest: Any
    lengths: Any
    tail: Any

    def __len__(self) -> int:
        return len(self.lengths)

    def inputs(self, rows: Sequence[int], model: Any) -> dict[str, Any]:
        """What the last layers are called with for these prompts."""
        import torch
        from transformers import DynamicCache

        picked = list(rows)
        opening = self.opening.expand(len(picked), *self.opening.shape)
        states = torch.cat([opening, self.rest[picked]], dim=4).to(model.device, model.dtype)
        cache = DynamicCache()
        for layer in range(states.shape[1]):
            cache.update(states[:, layer, 0], states[:, layer, 1], layer)
        tail = self.tail[picked].to(model.device, model.dtype)
        shared, longest = self.opening.shape[3], self.rest.shape[4]
        lengths = self.lengths[picked, None].to(model.device)
        seen = torch.arange(longest, device=model.device) < lengths
        n, width = tail.shape[:2]
        mask = torch.cat([seen.new_ones(n, shared), seen, seen.new_ones(n, width)], dim=1)
        return {
            "inputs_embeds": tail,
            "attention_mask": mask.long(),
            "position_ids": shared + lengths + torch.arange(width, device=model.device),
            "past_key_values": cache,
            "logits_to_keep": 1,
        }


def last_layers(base: Base, count: int) -> Any:
    """A model of the last layers alone, called with what enters them instead of tokens."""
    import torch

    whole, config = base.model, copy.deepcopy(base.model.config)
    config.num_hidden_layers = count
    if getattr(config, "layer_types", None) is not None:
        config.layer_types = config.layer_types[-count:]
    with torch.device("meta"):  # its weights are the whole model's
        part = type(whole)(config)
    layers = [copy.deepcopy(layer) for layer in whole.model.layers[-count:]]
    for place, layer in enumerate(layers):
        layer.self_attn.layer_idx = place
    part.model.layers = torch.nn.ModuleList(layers)
    part.model.embed_tokens, part.model.norm = whole.model.embed_tokens, whole.model.norm
    part.model.rotary_emb, part.lm_head = whole.model.rotary_emb, whole.lm_head
    return part.requires_grad_(False).eval()


def read_prefixes(
    base: Base,
    prompts: Sequence[Sequence[int]],
    layers: int,
    progress: Progress | None = None,
) -> Prefixes:
    """Run the untouched model over every prompt.

    Parameters
    ----------
    prompts : sequence of lists of int
        Tokens, those of ``base.tail`` last.
    layers : int
        How many of the last layers the adapter may change.
    """
    import torch

    width = len(base.tail)
    shared = _shared_length([prompt[:-width] for prompt in prompts])
    lengths = torch.tensor([len(prompt) - shared - width for prompt in prompts])
    states: list[Any] = [None] * len(prompts)
    tails: list[Any] = [None] * len(prompts)
    done = 0
    with torch.inference_mode():
        opening = _read(base, torch.tensor([prompts[0][:shared]]), None).past_key_values
        # Prompts of one length at a time: no padding.
        for length in lengths.unique():
            for rows in torch.nonzero(lengths == length).flatten().split(BATCH):
                tokens = torch.tensor([list(prompts[row][shared:]) for row in rows])
                seen = _read(base, tokens, opening)
                entering = seen.hidden_states[-1 - layers][:, -width:].cpu()
                kept = _stacked(seen.past_key_values, layers)[..., shared:-width, :]
                for place, row in enumerate(rows.tolist()):
                    states[row], tails[row] = kept[place], entering[place]
                done += len(rows)
                if progress is not None:
                    progress(done, len(prompts))
    longest = int(lengths.max())
    rest = states[0].new_zeros(len(prompts), *states[0].shape[:3], longest, states[0].shape[4])
    for row, state in enumerate(states):
        rest[row, ..., : state.shape[3], :] = state
        states[row] = None  # it is large
    return Prefixes(_stacked(opening, layers)[0].clone(), rest, lengths, torch.stack(tails))


def _read(base: Base, tokens: Any, opening: Any) -> Any:
    """Run the model over tokens that come after ``opening``."""
    from transformers import DynamicCache

    cache = DynamicCache()
    for layer, known in enumerate(opening.layers if opening else ()):
        keys, values = (x.expand(len(tokens), *x.shape[1:]) for x in (known.keys, known.values))
        cache.update(keys, values, layer)
    return base.model.model(
        input_ids=tokens.to(base.model.device),
        past_key_values=cache,
        use_cache=True,
        output_hidden_states=True,
    )


def _stacked(cache: Any, layers: int) -> Any:
    """Keys and values of the last layers, shape (n, layers, 2, heads, length, width)."""
    import torch

    pairs = [torch.stack([x.keys, x.values], dim=1) for x in cache.layers[-layers:]]
    return torch.stack(pairs, dim=1).cpu()


def _shared_length(prompts: Sequence[Sequence[int]]) -> int:
    """How many tokens all prompts have in common at their beginning."""
    shared = 0
    for tokens in zip(*prompts, strict=False):
        if len(set(tokens)) > 1:
            break
        shared += 1
    return shared
