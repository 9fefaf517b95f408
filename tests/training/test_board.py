"""What TensorBoard's page of hyperparameters holds."""

from brain2image.config import RunConfig
from brain2image.training.board import hyperparameters


def test_settings_are_flat_and_of_plain_types():
    settings, scores = hyperparameters(
        RunConfig(people=["things-01"]), {"loss": 2.5, "top1": 0.1, "mse": 1.0}
    )
    assert settings["training.epochs"] == RunConfig().training.epochs
    assert (settings["model.pretrained"], settings["people"]) == (True, "['things-01']")
    assert all(isinstance(value, (bool, int, float, str)) for value in settings.values())
    assert scores == {"val/loss": 2.5, "val/top1": 0.1}
