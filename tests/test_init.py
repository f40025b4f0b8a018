"""`import glcic_hub` is light, and makes diffusers' Auto class know the pipeline."""

import ast
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import glcic_hub
from glcic_hub.model import GLCICModel


def run(code, *args):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, args)], capture_output=True, text=True, timeout=180
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_is_light():
    """What it loads is itself and the standard library: no torch, nothing that is installed."""
    code = """
        import sys
        before = set(sys.modules)
        import glcic_hub
        dir(glcic_hub), glcic_hub.__version__
        new = {name.split(".")[0] for name in set(sys.modules) - before}
        assert new - sys.stdlib_module_names == {"glcic_hub"}, new
        assert "glcic_hub.network" not in sys.modules
        from glcic_hub import CompletionNetwork
        assert "torch" in sys.modules  # the check above can tell
    """
    run(code)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere torch's threads are not those of libgomp")
@pytest.mark.parametrize(
    ("modules", "given", "turns"),
    [
        ("glcic_hub, torch", {}, "1000"),
        ("train, torch", {}, "1000"),
        ("glcic_hub, torch", {"GOMP_SPINCOUNT": "7"}, "7"),
        ("glcic_hub, torch", {"OMP_WAIT_POLICY": "passive"}, "0"),
    ],
    ids=["default", "training", "the user's number", "the user's policy"],
)
def test_threads_of_torch_wait_briefly(modules, given, turns):
    """As libgomp says itself, when torch is imported after us."""
    free = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run(
        [sys.executable, "-c", f"import {modules}"],
        env=free | given | {"OMP_DISPLAY_ENV": "verbose"},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    assert f"GOMP_SPINCOUNT = '{turns}'" in done.stderr, done.stderr


def test_the_pipeline_imports_no_other_pipelines():
    """diffusers' Auto classes would import them all, with warnings of transformers and seconds of work."""
    code = """
        import sys
        import glcic_hub.pipeline
        pipelines = {name for name in sys.modules if name.startswith("diffusers.pipelines.")}
        assert not {name for name in pipelines if "auto" in name or "diffusion" in name}, pipelines
    """
    run(code)


def test_diffusers_own_class_finds_the_pipeline_after_a_bare_import(pipeline_folder):
    code = """
        import sys
        import glcic_hub
        from diffusers import DiffusionPipeline
        assert type(DiffusionPipeline.from_pretrained(sys.argv[1])) is glcic_hub.GLCICPipeline
    """
    run(code, pipeline_folder)


def last_words(code, **environment):
    environment = os.environ | environment
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=180)
    return done.returncode, done.stderr.splitlines()[-1:]


@pytest.mark.slow
def test_diffusers_slow_import_goes_as_far_as_without_us():
    """It imports all there is, part by part; some releases do not get to its end by themselves."""
    alone = last_words("import diffusers", DIFFUSERS_SLOW_IMPORT="1")
    for ours in ("glcic_hub", "glcic_hub.pipeline"):
        assert last_words(f"import {ours}, diffusers", DIFFUSERS_SLOW_IMPORT="1") == alone


def test_what_goes_wrong_in_the_hook_is_a_warning():
    """Nobody's import of diffusers ends because of us."""
    code = """
        import sys, warnings
        import glcic_hub
        sys.modules["glcic_hub.pipeline"] = None
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            from diffusers import AutoPipelineForInpainting, DiffusionPipeline
        assert any("diffusers' own classes will not find GLCICPipeline: ModuleNotFoundError" in str(one.message)
                   for one in told), told

        for name in ("auto_pipeline", "pipeline_utils"):
            del sys.modules[f"diffusers.pipelines.{name}"]
        hook = glcic_hub._WaitForDiffusers()
        sys.meta_path[:0] = [hook, object()]  # an object that is no finder
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            assert hook.find_spec("diffusers.pipelines.auto_pipeline") is None
        assert "AttributeError" in str(told[0].message), told
    """
    run(code)


def test_what_this_diffusers_does_not_have_is_skipped_with_a_warning():
    code = """
        import warnings
        from diffusers.pipelines import pipeline_loading_utils, pipeline_utils
        del pipeline_loading_utils.ALL_IMPORTABLE_CLASSES, pipeline_utils.load_sub_model
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            import glcic_hub
        messages = [str(one.message) for one in told]
        for missing in ("pipeline_loading_utils.ALL_IMPORTABLE_CLASSES", "pipeline_utils.load_sub_model"):
            told_so = f" does not have {missing} in the form that glcic_hub knows"
            assert any(told_so in message for message in messages), messages
        assert len(set(messages)) == 2
        assert "glcic_hub" in pipeline_loading_utils.LOADABLE_CLASSES
        glcic_hub.GLCICPipeline.from_pretrained()
    """
    run(code)


def test_public_names():
    assert sorted(glcic_hub.__all__) == sorted(dir(glcic_hub)) == sorted([*glcic_hub._HOME_OF, "__version__"])
    for name, home in glcic_hub._HOME_OF.items():
        value = getattr(glcic_hub, name)
        assert value is getattr(sys.modules[home], name)
        assert (value.__module__, value.__name__) == (home, name)
    everything = {}
    exec("from glcic_hub import *", everything)
    assert set(glcic_hub.__all__) <= set(everything)


def test_type_checkers_see_the_names_that_exist():
    tree = ast.parse(Path(glcic_hub.__file__).read_text(encoding="utf-8"))
    blocks = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    declared = {alias.asname or alias.name: node.module for node in blocks[0].body for alias in node.names}
    assert declared == glcic_hub._HOME_OF


@pytest.mark.parametrize("name", ["GLCICModle", "nothing", "__wrapped__", "torch"])
def test_unknown_names_are_attribute_errors(name):
    with pytest.raises(AttributeError, match=f"module 'glcic_hub' has no attribute '{name}'"):
        getattr(glcic_hub, name)
    assert not hasattr(glcic_hub, name)


@pytest.fixture(scope="module")
def pipeline_folder(tmp_path_factory):
    """A saved pipeline, written without diffusers."""
    folder = tmp_path_factory.mktemp("pipeline")
    component = folder / "completion_network"
    GLCICModel(base_channels=4).half().save_pretrained(component, variant="fp16")
    GLCICModel(base_channels=4, mean=(0.25, 0.5, 0.75)).save_pretrained(component)
    (component / "LICENSE").write_text("diffusers, asked for a variant, stumbles over names without a dot")
    index = {"_class_name": "GLCICPipeline", "completion_network": ["glcic_hub", "GLCICModel"]}
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


ORDERS = {
    "before": """
        import glcic_hub
        assert "diffusers" not in sys.modules
        assert any(type(finder) is glcic_hub._WaitForDiffusers for finder in sys.meta_path)
        from diffusers import AutoPipelineForInpainting
        assert not any(type(finder) is glcic_hub._WaitForDiffusers for finder in sys.meta_path)
    """,
    "after": """
        from diffusers import AutoPipelineForInpainting
        assert "glcic_hub" not in sys.modules
        import glcic_hub
    """,
}


@pytest.mark.parametrize("order", ORDERS)
def test_auto_class_knows_the_pipeline(order, pipeline_folder, tmp_path):
    code = """
        pipe = AutoPipelineForInpainting.from_pretrained(sys.argv[1])
        assert type(pipe) is glcic_hub.GLCICPipeline, type(pipe)
        assert type(pipe.completion_network) is glcic_hub.GLCICModel
        assert pipe.completion_network.mean.tolist() == [0.25, 0.5, 0.75]
        half = AutoPipelineForInpainting.from_pretrained(sys.argv[1], variant="fp16", dtype=torch.float16)
        assert type(half) is glcic_hub.GLCICPipeline and half.dtype == torch.float16
        weights = [part.completion_network.network.output.weight.float() for part in (pipe, half)]
        assert not torch.allclose(*weights, rtol=0.01)
        again = AutoPipelineForInpainting.from_pipe(pipe)
        assert type(again) is glcic_hub.GLCICPipeline
        assert again.completion_network is pipe.completion_network

        pipe.save_pretrained(sys.argv[2])  # what diffusers writes for it is what it was read from
        index = json.load(open(sys.argv[2] + "/model_index.json"))
        index.pop("_diffusers_version")
        index.pop("_name_or_path", None)
        assert index == json.load(open(sys.argv[1] + "/model_index.json")), index
    """
    run(
        "import json, sys\n" + textwrap.dedent(ORDERS[order]) + "import torch\n" + textwrap.dedent(code),
        pipeline_folder,
        tmp_path,
    )
    weights = "completion_network/model.safetensors"
    assert (tmp_path / weights).read_bytes() == (pipeline_folder / weights).read_bytes()
