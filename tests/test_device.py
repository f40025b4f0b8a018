"""Which device is chosen. Accelerators are those that torch is made to report: no machine has them all."""

import pytest
import torch

from glcic_hub.device import accelerator_count, choose_device


@pytest.fixture
def accelerators(monkeypatch):
    """`accelerators(cuda=2, mps=1)`: from here on torch reports these and no others."""

    def report(**counts: int) -> None:
        for kind in ("cuda", "xpu"):
            count = counts.get(kind, 0)
            monkeypatch.setattr(getattr(torch, kind), "is_available", lambda count=count: count > 0)
            monkeypatch.setattr(getattr(torch, kind), "device_count", lambda count=count: count)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: counts.get("mps", 0) > 0)

    report()
    return report


def test_without_an_accelerator_it_is_the_cpu(accelerators):
    assert choose_device() == choose_device("cpu") == choose_device(number=3) == torch.device("cpu")
    assert accelerator_count() == 0
    assert torch.ones(2, device=choose_device()).sum() == 2


@pytest.mark.parametrize(
    ("there", "chosen", "count"),
    [
        ({"cuda": 2}, "cuda:0", 2),
        ({"xpu": 1}, "xpu:0", 1),
        ({"mps": 1}, "mps:0", 1),
        ({"mps": 1, "xpu": 3, "cuda": 2}, "cuda:0", 2),
        ({"mps": 1, "xpu": 3}, "xpu:0", 3),
    ],
)
def test_an_accelerator_is_taken_where_there_is_one(accelerators, there, chosen, count):
    accelerators(**there)
    assert choose_device() == torch.device(chosen)
    assert accelerator_count() == count
    assert choose_device("cpu") == torch.device("cpu")


def test_a_name_decides(accelerators):
    accelerators(cuda=2, xpu=1)
    assert choose_device("cuda:1") == torch.device("cuda:1")
    assert choose_device("cuda:1", number=4) == torch.device("cuda:1")
    assert choose_device("xpu") == torch.device("xpu:0")


def test_several_processes_share_the_devices_of_a_kind(accelerators):
    accelerators(cuda=3)
    for name in (None, "cuda"):
        numbers = [choose_device(name, number).index for number in range(7)]
        assert numbers == [0, 1, 2, 0, 1, 2, 0]


@pytest.mark.parametrize("name", ["gpu", "CUDA", "cuda:x", "cuda:-1", "cuda:0:0", " cpu", "quantum"])
def test_what_torch_does_not_know_is_refused(accelerators, name):
    accelerators(cuda=2)
    with pytest.raises(ValueError, match=f"^there is no device '{name}'; there is cpu, cuda:0, cuda:1$"):
        choose_device(name)


@pytest.mark.parametrize("name", ["cuda:2", "xpu", "mps", "meta"])
def test_what_this_machine_does_not_have_is_refused(accelerators, name):
    accelerators(cuda=2)
    with pytest.raises(ValueError, match=f"^this machine has no device '{name}'; there is cpu, cuda:0, cuda:1$"):
        choose_device(name)


def test_a_torch_that_knows_no_xpu(accelerators, monkeypatch):
    monkeypatch.delattr(torch, "xpu")
    assert choose_device() == torch.device("cpu")
    with pytest.raises(ValueError, match="no device 'xpu'"):
        choose_device("xpu")
