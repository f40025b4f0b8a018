"""What all hostile cases need."""

from pathlib import Path

import pytest

from tests.hostile.picture_cases import save_small_model


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small model that was not trained."""
    return save_small_model(tmp_path_factory.mktemp("hostile") / "model")


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that is not there must not be looked for in the network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
