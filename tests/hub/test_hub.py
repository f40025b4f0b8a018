"""Models and pipelines go to a Hub and come back, with the true clients, each user in a process of her own.

The models are told apart by one bias: 1/3 as float32 and as float16 are different numbers.
"""

import json

import torch
from safetensors.torch import load, save

from glcic_hub.model import GLCICModel
from tests.hub.clients import MAKE

FULL, HALF = torch.tensor(1 / 3).item(), torch.tensor(1 / 3).half().item()
MODEL_FILES = {"README.md", "config.json", "model.safetensors"}

LOAD = (
    MAKE
    + """
from glcic_hub import GLCICPipeline
from diffusers import AutoPipelineForInpainting, DiffusionPipeline

def pipeline_facts(pipe):
    return [type(pipe).__name__, *facts(pipe.completion_network)]

half = {"variant": "fp16", "dtype": torch.float16}
report["model"] = facts(GLCICModel.from_pretrained("tester/model"))
report["model v1"] = facts(GLCICModel.from_pretrained("tester/model", revision="v1"))
report["model fp16"] = facts(GLCICModel.from_pretrained("tester/model", **half))
report["model in pipeline"] = facts(GLCICModel.from_pretrained("tester/pipe", subfolder="completion_network"))
classes = {"pipeline": GLCICPipeline, "auto": AutoPipelineForInpainting, "diffusion": DiffusionPipeline}
for name, cls in classes.items():
    report[name] = pipeline_facts(cls.from_pretrained("tester/pipe"))
    report[name + " v1"] = pipeline_facts(cls.from_pretrained("tester/pipe", revision="v1"))
    report[name + " fp16"] = pipeline_facts(cls.from_pretrained("tester/pipe", **half))
    report[name + " fp16 as float32"] = pipeline_facts(cls.from_pretrained("tester/pipe", variant="fp16"))
report["bare"] = pipeline_facts(GLCICPipeline.from_pretrained("tester/model"))
report["bare v1"] = pipeline_facts(GLCICPipeline.from_pretrained("tester/model", revision="v1"))
report["bare fp16"] = pipeline_facts(GLCICPipeline.from_pretrained("tester/model", **half))
"""
)


def test_pushed_files(pushed):
    assert set(pushed.files("tester/model", "v1")) == MODEL_FILES
    assert set(pushed.files("tester/model")) == MODEL_FILES | {"model.fp16.safetensors"}
    component = {f"completion_network/{name}" for name in MODEL_FILES}
    assert set(pushed.files("tester/pipe", "v1")) == component | {"README.md", "model_index.json"}
    assert set(pushed.files("tester/pipe")) - set(pushed.files("tester/pipe", "v1")) == {
        "completion_network/model.fp16.safetensors"
    }
    for name, folder in (("tester/model", ""), ("tester/pipe", "completion_network/")):
        files = pushed.files(name)
        for variant, dtype, value in (("", torch.float32, FULL), (".fp16", torch.float16, HALF)):
            bias = load(files[f"{folder}model{variant}.safetensors"])["network.output.bias"]
            assert bias.dtype == dtype and bias.tolist() == [value] * 3
        assert json.loads(files[f"{folder}config.json"])["mean"] == [0.25, 0.5, 0.75]
        assert b"library_name: glcic_hub" in files[f"{folder}README.md"]
    index = json.loads(pushed.files("tester/pipe")["model_index.json"])
    assert (index["_class_name"], index["completion_network"]) == ("GLCICPipeline", ["glcic_hub", "GLCICModel"])


def test_saving_and_pushing_in_one_call(hub, client):
    """`push_to_hub=True` writes the folder and the repository; a variant is one in both."""
    report = client(
        MAKE
        + """
from pathlib import Path

make(1).save_pretrained("full", push_to_hub=True, repo_id="tester/saved")
make(1/3).half().save_pretrained("half", variant="fp16", push_to_hub=True, repo_id="tester/saved")
make(1).half().push_to_hub("tester/saved-half", variant="fp16")
report["files"] = [sorted(path.name for path in Path(name).iterdir()) for name in ("full", "half")]
""",
        home="saver",
    )
    assert report["files"] == [
        sorted(MODEL_FILES),
        sorted(MODEL_FILES - {"model.safetensors"} | {"model.fp16.safetensors"}),
    ]
    assert set(hub.files("tester/saved")) == MODEL_FILES | {"model.fp16.safetensors"}
    assert load(hub.files("tester/saved")["model.safetensors"])["network.output.bias"].tolist() == [1] * 3
    assert load(hub.files("tester/saved")["model.fp16.safetensors"])["network.output.bias"].tolist() == [HALF] * 3
    assert set(hub.files("tester/saved-half")) == {"README.md", "config.json", "model.fp16.safetensors"}


def test_loading_by_repository_id_and_again_offline(pushed, client):
    first, full, half = [
        [value, dtype, [0.25, 0.5, 0.75], 64]
        for value, dtype in ((1, "torch.float32"), (FULL, "torch.float32"), (HALF, "torch.float16"))
    ]
    widened = [HALF, *full[1:]]
    wanted = {"model": full, "model v1": first, "model fp16": half, "model in pipeline": full}
    for name in ("pipeline", "auto", "diffusion"):
        cases = {"": full, " v1": first, " fp16": half, " fp16 as float32": widened}
        wanted |= {f"{name}{case}": ["GLCICPipeline", *value] for case, value in cases.items()}
    wanted |= {
        f"bare{case}": ["GLCICPipeline", *value] for case, value in {"": full, " v1": first, " fp16": half}.items()
    }

    before = len(pushed.requests)
    assert client(LOAD, home="reader", anonymous=True) == wanted
    online = len(pushed.requests)
    assert online - before > 10
    assert client(LOAD, home="reader", anonymous=True, HF_HUB_OFFLINE="1") == wanted
    assert len(pushed.requests) == online


def test_a_bare_model_is_not_downloaded_for_arguments_that_it_does_not_know(pushed, client):
    before = len(pushed.requests)
    report = client(
        """
from glcic_hub import GLCICPipeline

report["error"] = error_of(GLCICPipeline.from_pretrained, "tester/model", safety_checker=None)
""",
        home="asker",
        anonymous=True,
    )
    assert report["error"].startswith("TypeError: safety_checker: ")
    assert {request["path"].rpartition("/")[2] for request in pushed.requests[before:]} == {"model_index.json"}


REFUSED = {
    # repository: what the messages of the model and of the pipeline must say
    "tester/missing": ("ValueError", "missing network.output.bias"),
    "tester/extra": ("ValueError", "unexpected network.extra"),
    "tester/misshapen": ("ValueError", "network.output.bias is (4,), wanted (3,)"),
    "tester/truncated": ("ValueError", "not a complete safetensors file"),
    "tester/pickle": ("RemoteEntryNotFoundError", "model.safetensors"),
    "tester/no-config": ("RemoteEntryNotFoundError", "config.json"),
    "tester/damaged-config": ("ValueError", "not a JSON object"),
    "tester/nothing": ("RepositoryNotFoundError", "tester/nothing"),
}


def test_what_does_not_fit_is_refused(hub, client, tmp_path):
    """On every route: the bare model, and as a part of a pipeline, by our class and by the Auto class."""
    GLCICModel(base_channels=4).save_pretrained(tmp_path)
    config, weights = ((tmp_path / name).read_bytes() for name in ("config.json", "model.safetensors"))
    bias = "network.output.bias"
    states = {name: load(weights) for name in ("missing", "extra", "misshapen")}
    del states["missing"][bias]
    states["extra"]["network.extra"] = torch.zeros(1)
    states["misshapen"][bias] = torch.zeros(4)
    files = {name: {"config.json": config, "model.safetensors": save(state)} for name, state in states.items()}
    files["truncated"] = {"config.json": config, "model.safetensors": weights[:-1000]}
    files["pickle"] = {"config.json": config, "pytorch_model.bin": pickled(load(weights), tmp_path)}
    files["no-config"] = {"model.safetensors": weights}
    files["damaged-config"] = {"config.json": config[:-10], "model.safetensors": weights}
    index = json.dumps({"_class_name": "GLCICPipeline", "completion_network": ["glcic_hub", "GLCICModel"]}).encode()
    for name, contents in files.items():
        hub.add_repo(f"tester/{name}", contents)
        parts = {f"completion_network/{path}": data for path, data in contents.items()}
        hub.add_repo(f"tester/{name}-pipe", {"model_index.json": index, **parts})
    assert {f"tester/{name}" for name in files} | {"tester/nothing"} == set(REFUSED)

    report = client(
        f"names = {list(REFUSED)}"
        """
from glcic_hub import GLCICModel, GLCICPipeline
from diffusers import AutoPipelineForInpainting

for name in names:
    report[name] = [
        error_of(GLCICModel.from_pretrained, name),
        error_of(GLCICPipeline.from_pretrained, name),
        error_of(GLCICPipeline.from_pretrained, name + "-pipe"),
        error_of(AutoPipelineForInpainting.from_pretrained, name + "-pipe"),
    ]
""",
        home="strict",
    )
    for name, (kind, words) in REFUSED.items():
        for error in report[name][: 3 if name == "tester/nothing" else 4]:
            assert error.startswith(f"{kind}: ") and words in error
    assert "tester/nothing-pipe" in report["tester/nothing"][3]
    # the pickle was there to be loaded; nobody even asked for it
    assert not [
        request for request in hub.requests if request["path"].endswith(".bin") and "resolve" in request["path"]
    ]


def pickled(state, folder):
    torch.save(state, folder / "pytorch_model.bin")
    return (folder / "pytorch_model.bin").read_bytes()
