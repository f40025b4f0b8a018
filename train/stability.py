"""Does the training still make sense? Finite weights, and two players of comparable strength."""

from collections import deque
from collections.abc import Iterable

import torch

LOGGED_VALUES = 10
"""So many logged values in a row; with `--logging_steps 50` the last 500 steps."""

TOO_STRONG, TOO_WEAK = 0.99, 0.51
"""Bounds of the discriminators' mean accuracy over `LOGGED_VALUES`: beyond them C learns little from them."""


def require_finite(modules: Iterable[torch.nn.Module], losses: dict[str, float], step: int) -> None:
    """Check that losses, weights and running statistics are finite numbers.

    Raises:
        FloatingPointError: one is not; with one sentence.
    """
    wrong = [name for name, value in losses.items() if not torch.isfinite(torch.tensor(value))]
    tensors = [tensor for module in modules for tensor in module.state_dict().values() if tensor.is_floating_point()]
    if not wrong and tensors and not torch.isfinite(torch.stack(torch._foreach_norm(tensors))).all():
        wrong = ["the weights"]
    if wrong:
        raise FloatingPointError(
            f"{', '.join(wrong)} at step {step} is no finite number: go on from the last checkpoint "
            "(--resume_from_checkpoint latest) with lower --learning_rate and --discriminator_learning_rate"
        )


def gradient_ratio(adversarial: torch.Tensor, reconstruction: torch.Tensor, completed: torch.Tensor) -> torch.Tensor:
    """Norm of the weighted adversarial loss's gradient at C's output, divided by that of the reconstruction loss.

    The paper's authors chose alpha so that it starts phase 3 in the order of 1. Scalar tensor on the losses' device.
    """
    norms = [
        torch.autograd.grad(loss, completed, retain_graph=True)[0].norm() for loss in (adversarial, reconstruction)
    ]
    return norms[0] / norms[1]


class AccuracyWatch:
    """Looks at the discriminators' logged accuracy in phase 3, and warns once about each of two ways to fail."""

    def __init__(self):
        self._latest = deque(maxlen=LOGGED_VALUES)
        self._warned = set()

    def warning(self, accuracy: float) -> str | None:
        """Note one more logged accuracy, 0 to 1; return the sentence to show, None if there is none."""
        self._latest.append(accuracy)
        mean = sum(self._latest) / len(self._latest)
        if len(self._latest) < LOGGED_VALUES or TOO_WEAK <= mean <= TOO_STRONG:
            return None
        side = "strong" if mean > TOO_STRONG else "weak"
        if side in self._warned:
            return None
        self._warned.add(side)
        remedy = {
            "strong": "the discriminators are too strong for C to learn from: lower --discriminator_learning_rate",
            "weak": "the discriminators only guess: raise --discriminator_learning_rate or lower --alpha",
        }
        return f"the discriminators' accuracy was {mean:.2f} over the last {LOGGED_VALUES} logged steps: {remedy[side]}"
