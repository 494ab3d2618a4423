"""Where low-rank maps begin: at the directions in which the prompts differ.

The prompts of a battery differ in a few numbers only, and what the layers make of that is small
beside what all prompts share. Begun at random, an adapter was measured to learn nothing but the
rates of the answers from 1,000 answers; begun at the principal directions of what differs, scaled
alike, it learns at once. The idea of starting from activations is that of EVA (Paischer et al.
2024).
"""

from typing import Any

from policies.finetune.prefixes import Prefixes

LEAST_SPREAD = 0.01  # of the widest direction's; what is narrower is rounding (A)
_BATCH = 64


def start_where_prompts_differ(model: Any, prefixes: Prefixes, rows: list[int]) -> None:
    """Set the first of the two maps of each low-rank pair; the second stays 0.

    The first row is 1 at the mean of the map's inputs at the last token: a constant. The others are
    the principal directions around it, each divided by the standard deviation there, and
    orthogonal to what the tail's tokens are on average. Rows for which there is no such direction
    are 0, and stay so.

    Parameters
    ----------
    model
        The last layers with their adapter, of peft.
    prefixes, rows
        The prompts to look at.
    """
    import torch

    maps = [part for part in model.modules() if hasattr(part, "lora_A") and len(part.lora_A)]
    inputs: dict[Any, list[Any]] = {part: [] for part in maps}

    def note(part: Any, arguments: tuple[Any, ...]) -> None:
        inputs[part].append(arguments[0].float())

    hooks = [part.register_forward_pre_hook(note) for part in maps]
    model.eval()
    with torch.no_grad():
        for start in range(0, len(rows), _BATCH):
            model(**prefixes.inputs(rows[start : start + _BATCH], model))
    for hook in hooks:
        hook.remove()
    for part in maps:
        seen = torch.cat(inputs.pop(part))  # (n, tail, width)
        usual = seen.mean(dim=0)
        shared = torch.linalg.qr(usual.T).Q
        differing = seen[:, -1] - usual[-1]
        differing = differing - (differing @ shared) @ shared.T
        _, spread, directions = torch.linalg.svd(differing, full_matrices=False)
        weight = part.lora_A["default"].weight
        kept = min(len(weight) - 1, int((spread > LEAST_SPREAD * spread[0]).sum()))
        found = directions[:kept] / spread[:kept, None] * len(seen) ** 0.5
        weight.data.zero_()
        weight.data[0] = (usual[-1] / usual[-1].square().sum()).to(weight)
        weight.data[1 : 1 + kept] = found.to(weight)
