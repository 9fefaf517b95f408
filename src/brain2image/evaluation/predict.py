"""What a trained network predicts for the test pairs."""

from pathlib import Path

from brain2image.core.devices import compute_device
from brain2image.evaluation.queries import write_test_predictions
from brain2image.models.alignment import AlignmentModel


def predict_pairs(model: str | Path, lmdb: str | Path, *, out: str | Path) -> None:
    """Predict the fMRI embedding of every test pair from means of its EEG trials.

    Parameters
    ----------
    model : ``model.safetensors`` in its run folder, beside ``config.json``.
    lmdb : the data set.
    out : ``predictions.npz`` as `queries.write_test_predictions` writes it.
    """
    aligner = AlignmentModel.load(Path(model).parent).to(compute_device())
    target_mean = aligner.target_mean.cpu().numpy()
    write_test_predictions(
        out, lambda pairs: aligner.predict(pairs.eeg).numpy(), lmdb, target_mean=target_mean
    )
