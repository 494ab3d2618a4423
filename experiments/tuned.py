"""The embedded language model, raw and tuned, as studies ask for it."""

from policies.local_model import adapter_file
from populations.errors import InputError

TUNED = "human-1024"  # the adapter that studies look for


def models_there_are(tuned: str) -> tuple[tuple[str, ...], str]:
    """The embedded model and, if it has been made, the tuned one; else what to do about it.

    Parameters
    ----------
    tuned : str
        Name or folder of an adapter.
    """
    try:
        adapter_file(tuned)
    except InputError as error:
        return (
            "local",
        ), f"No tuned model: {error}. `make finetune` makes one; went on without it."
    return ("local", f"local+{tuned}"), ""
