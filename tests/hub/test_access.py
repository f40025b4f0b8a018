"""Private and gated repositories: who may read them loads them, who may not learns what to do."""

import torch

from tests.hub.clients import MAKE
from tests.hub.loopback_hub import STRANGER_TOKEN, TOKEN, USER

TRY = (
    (
        MAKE
        + """
from diffusers import AutoPipelineForInpainting
from glcic_hub import GLCICPipeline

GLCICPipeline(make(1/3)).push_to_hub("tester/private", private=True)

def outcomes(name, token):
    loaded = []

    def load(cls, **kwargs):
        model = cls.from_pretrained(name, token=token, **kwargs)
        loaded.append(facts(getattr(model, "completion_network", model))[0])

    errors = [
        error_of(load, GLCICModel, subfolder="completion_network"),
        error_of(load, GLCICPipeline),
        error_of(load, AutoPipelineForInpainting),
    ]
    return {"loaded": loaded, "errors": errors}

# None is the login of the environment
for who, token in {"nobody": False, "stranger": "STRANGER", "logged in": None, "by argument": "TOKEN"}.items():
    for name in ("company/gated", "tester/private"):
        report[f"{name} {who}"] = outcomes(name, token)
"""
    )
    .replace("STRANGER", STRANGER_TOKEN)
    .replace("TOKEN", TOKEN)
)

LOG_IN = "make sure you are authenticated and your token has the required permissions"
REFUSED = {
    # what happens: the error, and what it says about what to do
    "company/gated nobody": ("GatedRepoError: 401", "You must have access to it and be authenticated", "Please log in"),
    "company/gated stranger": ("GatedRepoError: 403", "not in the authorized list", "/company/gated to ask for access"),
    "tester/private nobody": ("RepositoryNotFoundError: 401", "tester/private", LOG_IN),
    "tester/private stranger": ("RepositoryNotFoundError: 404", "tester/private", LOG_IN),
}


def test_private_and_gated_repositories(pushed, client):
    """For the model, our pipeline class and the Auto class; the login counts as the argument does."""
    pushed.add_repo("company/gated", pushed.files("tester/pipe"), gated_for=[USER])
    report = client(TRY, home="access")
    for case, words in REFUSED.items():
        *ours, auto = report[case]["errors"]
        assert report[case]["loaded"] == [] and len(ours) == 2
        assert all(error.startswith(words[0]) for error in ours)
        assert all(word in error for error in ours for word in words[1:])
        assert "log in with `hf auth login`" in auto
    assert set(report) - set(REFUSED) == {
        f"{name} {who}" for name in ("company/gated", "tester/private") for who in ("logged in", "by argument")
    }
    for case in set(report) - set(REFUSED):
        assert report[case] == {"loaded": [torch.tensor(1 / 3).item()] * 3, "errors": ["no error"] * 3}


def test_the_token_goes_to_the_hub_only(pushed, client):
    """Large files come from another host, which must not see it."""
    asked = len(pushed.requests)
    client('from huggingface_hub import snapshot_download; snapshot_download("tester/model")', home="logged-in")
    requests = [request for request in pushed.requests[asked:] if request["method"] == "GET"]
    elsewhere = [request for request in requests if request["path"].startswith("/lfs/")]
    assert len(elsewhere) == 2 and not any(request["token"] for request in elsewhere)
    assert all(request["token"] for request in requests if request not in elsewhere)
