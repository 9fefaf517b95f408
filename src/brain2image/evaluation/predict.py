"""What a trained network predicts for the test pairs."""

from collections.abc import Sequence
from pathlib import Path

from brain2image.core.devices import compute_device
from brain2image.evaluation.queries import write_test_predictions
from brain2image.models.alignment import AlignmentModel
from brain2image.pairs.clip_embeddings import read_embeddings
from brain2image.training_set.clip_targets import ClipTargets
from brain2image.training_set.lmdb_store import LMDBReader
from brain2image.training_set.means import mean_response


def predict_pairs(
    model: str | Path,
    lmdb: str | Path,
    *,
    out: str | Path,
    clip: Sequence[str | Path] = (),
    interpolates: bool = False,
) -> None:
    """Predict the fMRI embedding of every test pair from means of its EEG trials.

    Parameters
    ----------
    model : ``model.safetensors`` in its run folder, beside ``config.json``. A run of several people hears
        somebody whom it does not know less the mean response of that person's training trials, which needs no
        labels.
    lmdb : the data set.
    clip : embeddings of the pictures, of a run that learned from these.
    interpolates : whether channels that the person's cap lacks are interpolated.
    out : ``predictions.npz`` as `queries.write_test_predictions` writes it.
    """
    aligner = AlignmentModel.load(Path(model).parent).to(compute_device())
    target_mean = aligner.target_mean.cpu().numpy()
    reader = LMDBReader(lmdb, aligner.layout.channels, interpolates=interpolates)
    if clip:
        reader = ClipTargets(reader, read_embeddings(clip))
    person = reader.people[0] if reader.people[0] in aligner.people else None
    response = None
    if aligner.people and person is None:
        response = mean_response(reader, reader.pictures[reader.pictures["split"] == "train"])
    write_test_predictions(
        out,
        lambda pairs: aligner.predict(pairs.eeg, person, response).numpy(),
        reader,
        target_mean=target_mean,
    )
