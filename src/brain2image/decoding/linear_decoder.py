"""The linear decoder that was fitted for test pairs, for embeddings of other EEG."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from brain2image.core.devices import compute_device
from brain2image.core.memory import check_memory, file_bytes
from brain2image.decoding.backbone import WORKING, decode_tokens, load_backbone
from brain2image.decoding.kernel_shares import compute_shares
from brain2image.decoding.linear_drawing import reduce_tokens, to_pictures
from brain2image.decoding.stored import SOURCE, check_source
from brain2image.formats.hdf5 import get_dataset, get_group, open_hdf5, read_attributes


def draw_embeddings(
    embedding: np.ndarray, decoder: str | Path, *, backbone: str | Path, source: Mapping[str, str]
) -> np.ndarray:
    """Draw pictures of other embeddings, by a decoder that `linear_drawing.draw_linear` has fitted.

    Parameters
    ----------
    embedding : (n_trials, n_features) float32, in the units of the measured embeddings.
    decoder : what `draw_linear` wrote.
    backbone : of the same checkpoint, see `backbone.extract_backbone`.
    source : ``checkpoint`` and ``sha256`` of the embedding.

    Returns
    -------
    (n_trials, 64, 64, 3) uint8.

    Raises
    ------
    InputError
        When embedding, backbone and decoder are not of one checkpoint, a file is damaged, or the memory
        too small.
    """
    remedy = "free some, or leave pictures out"
    check_memory(file_bytes(backbone) + WORKING, compute_device(), what="the backbone", remedy=remedy)
    with open_hdf5(decoder) as file:
        facts = read_attributes(file, (*SOURCE, "alpha"))
        check_source(facts, source, path=decoder, name="linear decoder")
        group = get_group(file, "decoder")
        fitted, pixels = (get_dataset(group, name)[:] for name in ("tokens", "pixels"))
    network = load_backbone(backbone, embedding=source)
    # as they are rounded where they are stored
    blocks = (tokens.astype(np.float16) for _, tokens in decode_tokens(network, embedding))
    asked = np.concatenate([reduce_tokens(block) for block in blocks])
    shares = compute_shares(fitted, asked, float(facts["alpha"]))
    return to_pictures(shares @ (pixels / 255))[:, 0]
