"""The report of doctor.py."""

from types import SimpleNamespace

import pytest
from command_lines import succeed

from backends import BackendUnavailable, InputError
from backends.nvidia import Card
from backends.processor import Processor
from dnn.commands import doctor


def test_doctor_names_every_backend():
    result = succeed("doctor")
    for name in ("numpy", "cupy", "torch", "strict"):
        assert f"\n{name}: " in result.stdout
    assert result.stdout.splitlines()[1].startswith("processor: ")
    for fact in ("numpy dispatch", "torch kernels"):  # the code that each library chose for this processor
        assert f"\n    {fact}: " in result.stdout


@pytest.mark.parametrize(
    ("available", "cards", "works"),
    [(True, [], True), (True, [], False), (False, [Card(580, (9, 0))], False)],
)
def test_doctor_reports_torch_on_cuda(available, cards, works, monkeypatch, capsys):
    """Also a CPU build of torch beside a GPU."""

    def get(name, device=None, cpu_first=None):
        if name == "cupy" or (device == "cuda" and not works):
            raise BackendUnavailable("no driver" if device else "no GPU")
        facts = {"backend": name, "processor": "p", "two_words": device}
        return SimpleNamespace(name=name, device="cpu", reason=f"it is{cpu_first}", describe=lambda: facts)

    monkeypatch.setattr(doctor, "get_backend", get)
    monkeypatch.setattr(doctor, "backend_names", lambda: ("numpy", "cupy"))
    monkeypatch.setattr("torch.cuda.is_available", lambda: available)
    monkeypatch.setattr(doctor, "query_cards", lambda: cards)
    monkeypatch.setattr(doctor, "this_processor", lambda: Processor("Some Processor 9", "AVX2"))
    monkeypatch.setattr(doctor, "find_faults", lambda: iter([InputError("x is wrong")] if cards else []))
    monkeypatch.setattr(doctor, "limiting_variables", lambda: {"ONEDNN_MAX_CPU_ISA": "AVX2"})
    doctor.doctor(None)
    end = ["usable", "    two words: cuda"] if works else ["not usable", "    no driver"]
    assert capsys.readouterr().out.splitlines()[1:] == [
        "processor: Some Processor 9, AVX2", "limited by the environment: ONEDNN_MAX_CPU_ISA=AVX2",
        f"NumPy's float64 arithmetic: {'x is wrong' if cards else 'right'}",
        "", "numpy: usable", "    two words: None", "", "cupy: not usable", "    no GPU", "",
        f"torch on cuda: {end[0]}", end[1], "",
        "--backend auto uses auto on cpu: it isnumba",
        "--backend auto uses auto on cpu for layers other than Dense: it istorch",
    ]  # fmt: skip
