"""Our models in spandrel, the library with which other programs recognise and load weights.

    from glcic_hub.integrations import spandrel

    spandrel.register()  # or register("my-model"), a folder or Hub repository, beside the embedded models
    model = ModelLoader().load_from_file("model.safetensors")

spandrel sees the weights alone. The mean colour and the sizes of the training are in `config.json`, and with wrong ones
the result would be worse without a sign of it; therefore only weights whose model is known are loaded.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from spandrel import MAIN_REGISTRY, Architecture, ArchRegistry, ArchSupport, MaskedImageModelDescriptor, ModelTiling
from spandrel.util import KeyCondition

from glcic_hub.filling.completer import ReadyCompleter
from glcic_hub.filling.options import FillOptions
from glcic_hub.integrations.tensors import complete_tensor
from glcic_hub.model import GLCICModel, embedded_models


class GLCICArch(Architecture[GLCICModel]):
    """The completion network, as weights of models that are known.

    Args:
        *models: folders or Hub repositories of models beside the embedded ones.
        **options: how holes are filled, the fields of `FillOptions`.
    """

    def __init__(self, *models: str | Path, **options):
        super().__init__(id="GLCIC", detect=KeyCondition.has_all("network.blocks.0.0.weight", "network.output.weight"))
        self.models = [*models, *embedded_models()]
        self.options = FillOptions(**options)

    def load(self, state_dict: dict[str, torch.Tensor]) -> MaskedImageModelDescriptor[GLCICModel]:
        """Find the model whose weights these are.

        The descriptor takes images of any size and completes them as the pipeline does: each hole by itself, with
        the known samples coming back as they were.

        Raises:
            ValueError: these are the weights of none of the models.
        """
        for name in self.models:
            model = GLCICModel.from_pretrained(name)
            if _same(model.state_dict(), state_dict):
                return MaskedImageModelDescriptor(
                    model,
                    state_dict,
                    architecture=self,
                    purpose="Inpainting",
                    tags=[f"{model.network.base_channels} channels"],
                    supports_half=True,
                    supports_bfloat16=True,
                    input_channels=3,
                    output_channels=3,
                    tiling=ModelTiling.INTERNAL,
                    call_fn=self._call_of_one_model(),
                )
        raise ValueError(
            f"these are not the weights of {', '.join(map(str, self.models))}, and a weights file does not say the "
            "model's mean colour: name the folder that has its config.json too, register(folder)"
        )

    def _call_of_one_model(self) -> Callable[[GLCICModel, torch.Tensor, torch.Tensor], torch.Tensor]:
        ready = ReadyCompleter()

        def call(model: GLCICModel, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            """Image (1, 3, H, W) in [0, 1] and mask (1, 1, H, W), 1 = fill, to the completed (1, 3, H, W)."""
            completer = ready.of(model)
            result = complete_tensor(completer, image[0].permute(1, 2, 0), mask[0, 0] >= 0.5, self.options)
            return result.permute(2, 0, 1)[None]

        return call


def register(*models: str | Path, registry: ArchRegistry = MAIN_REGISTRY, **options) -> None:
    """Make spandrel know our models.

    Args:
        *models: folders or Hub repositories of models beside the embedded ones.
        registry: the registry of the `ModelLoader`; without it the one that all loaders share.
        **options: how holes are filled, the fields of `FillOptions`.

    Raises:
        spandrel.DuplicateArchitectureError: the registry knows the architecture already.
    """
    registry.add(ArchSupport.from_architecture(GLCICArch(*models, **options)))


def _same(known: dict[str, torch.Tensor], state_dict: dict[str, torch.Tensor]) -> bool:
    """Whether the weights are the same, in the type in which they came in."""
    return known.keys() == state_dict.keys() and all(
        torch.equal(value.to(state_dict[key].dtype), state_dict[key].cpu()) for key, value in known.items()
    )
