"""New EEG into the embedding space of the fMRI that a model was trained on.

`sources` opens EEG of every kind as trials that are read block by block (`recordings` filters and cuts
continuous ones, `epochs` takes cut ones), `channels` puts the channels into the model's order, `embeddings`
runs the model, `gallery` looks for the pictures with the nearest fMRI, `outputs` writes.
"""

from brain2image.translation.embeddings import Translation, translate, write_translation

__all__ = ["Translation", "translate", "write_translation"]
