"""What the untouched model makes of each prompt, up to the tail that the adapter works on.

Only the last few tokens of a prompt, which open the assistant's turn, are touched by the adapter
(an "activated" low-rank adapter: Greenewald et al. 2025). What comes before them is the untouched
model's, so it is computed once, and used by every step of every training.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from policies.finetune.base import Base

BATCH = 32

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Prefixes:
    """Keys and values of n prompts, in half precision.

    Parameters
    ----------
    opening : tensor, shape (layers, 2, heads, shared, width)
        Of the tokens that all prompts begin with.
    rest : tensor, shape (n, layers, 2, heads, longest, width)
        Of what follows, up to the tail; padded at the end.
    lengths : tensor of int, shape (n,)
        How much of ``rest`` is not padding.
    """

    opening: Any
    rest: Any
    lengths: Any

    def __len__(self) -> int:
        return len(self.lengths)

    def inputs(self, rows: Sequence[int], base: Base) -> dict[str, Any]:
        """What the model is called with for these prompts: their tails, after their prefixes."""
        import torch
        from transformers import DynamicCache

        n, tail, device = len(rows), len(base.tail), base.model.device
        opening = self.opening.expand(n, *self.opening.shape)
        states = torch.cat([opening, self.rest[list(rows)]], dim=4)
        states = states.to(device, base.model.dtype)
        cache = DynamicCache()
        for layer in range(states.shape[1]):
            cache.update(states[:, layer, 0], states[:, layer, 1], layer)
        shared, longest = self.opening.shape[3], self.rest.shape[4]
        lengths = self.lengths[list(rows), None].to(device)
        seen = torch.arange(longest, device=device) < lengths
        mask = torch.cat([seen.new_ones(n, shared), seen, seen.new_ones(n, tail)], dim=1)
        return {
            "input_ids": torch.tensor([base.tail], device=device).expand(n, tail),
            "attention_mask": mask.long(),
            "position_ids": shared + lengths + torch.arange(tail, device=device),
            "past_key_values": cache,
            "logits_to_keep": 1,
        }


def read_prefixes(
    base: Base, prompts: Sequence[Sequence[int]], progress: Progress | None = None
) -> Prefixes:
    """Run the untouched model over every prompt up to its tail.

    Parameters
    ----------
    prompts : sequence of lists of int
        Tokens, those of ``base.tail`` last.
    """
    import torch

    tail = len(base.tail)
    shared = _shared_length([prompt[:-tail] for prompt in prompts])
    rests = [torch.tensor(prompt[shared:-tail]) for prompt in prompts]
    lengths = torch.tensor([len(rest) for rest in rests])
    parts = []
    with torch.inference_mode():
        opening = _states(base, torch.tensor([prompts[0][:shared]]), None)[:, :, 0]
        for start in range(0, len(prompts), BATCH):
            batch = torch.nn.utils.rnn.pad_sequence(rests[start : start + BATCH], batch_first=True)
            padding = int(lengths.max()) - batch.shape[1]
            batch = torch.nn.functional.pad(batch, (0, padding))
            parts.append(
                _states(base, batch, opening)[:, :, :, :, shared:].permute(2, 0, 1, 3, 4, 5)
            )
            if progress is not None:
                progress(min(start + BATCH, len(prompts)), len(prompts))
    return Prefixes(opening.clone(), torch.cat(parts).clone(), lengths)


def _states(base: Base, tokens: Any, opening: Any) -> Any:
    """Keys and values after ``tokens``, shape (layers, 2, n, heads, length, width).

    Padding at the end needs no mask: nothing before it sees it.
    """
    import torch
    from transformers import DynamicCache

    device, cache = base.model.device, DynamicCache()
    if opening is not None:
        states = opening.to(device, base.model.dtype)
        n = len(tokens)
        for layer, (keys, values) in enumerate(states):
            cache.update(keys.expand(n, *keys.shape), values.expand(n, *values.shape), layer)
    base.model.model(input_ids=tokens.to(device), past_key_values=cache, use_cache=True)
    return torch.stack([torch.stack([x.keys, x.values]) for x in cache.layers]).half().cpu()


def _shared_length(prompts: Sequence[Sequence[int]]) -> int:
    """How many tokens all prompts have in common at their beginning."""
    shared = 0
    for tokens in zip(*prompts, strict=False):
        if len(set(tokens)) > 1:
            break
        shared += 1
    return shared
