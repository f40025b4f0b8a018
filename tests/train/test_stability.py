"""Finite weights, the ratio of the gradients, and the warning about discriminators that are too strong or too weak."""

import pytest
import torch

from train.stability import LOGGED_VALUES, AccuracyWatch, gradient_ratio, require_finite


def test_what_is_no_finite_number_is_named():
    layer = torch.nn.BatchNorm2d(2)
    require_finite([layer], {"completion_loss": 0.5}, 7)
    with pytest.raises(FloatingPointError, match="completion_loss at step 7"):
        require_finite([layer], {"completion_loss": float("inf")}, 7)
    layer.running_var[1] = float("nan")
    with pytest.raises(FloatingPointError, match="the weights at step 7"):
        require_finite([layer], {}, 7)


def test_ratio_is_that_of_the_gradients_norms():
    completed = torch.tensor([3.0, -4.0], requires_grad=True)
    reconstruction = completed.square().sum()  # gradient (6, -8): norm 10
    adversarial = 2 * completed.sum()  # gradient (2, 2)
    assert gradient_ratio(adversarial, reconstruction, completed).item() == pytest.approx(8**0.5 / 10)
    (adversarial + reconstruction).backward()  # the graph is still there
    assert completed.grad.tolist() == [8.0, -6.0]


def warnings_for(accuracies: list[float]) -> list[str]:
    watch = AccuracyWatch()
    return [warning for accuracy in accuracies if (warning := watch.warning(accuracy))]


def test_strong_and_weak_discriminators_are_warned_of_once():
    assert LOGGED_VALUES == 10
    assert warnings_for([1.0] * 9) == []
    (strong,) = warnings_for([1.0] * 50)
    assert "accuracy was 1.00" in strong and "lower --discriminator_learning_rate" in strong
    (weak,) = warnings_for([0.5] * 50)
    assert "raise --discriminator_learning_rate" in weak
    assert len(warnings_for([1.0] * 20 + [0.5] * 20 + [1.0] * 20)) == 2


def test_balanced_discriminators_are_not_warned_of():
    assert warnings_for([0.7] * 30) == []
    assert warnings_for([1.0] * 9 + [0.8] + [1.0] * 9) == []  # mean of every ten: 0.98
