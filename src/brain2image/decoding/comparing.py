"""How the pictures that were drawn for each run resemble the seen ones, by the metrics of the field."""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as pillow

from brain2image.decoding.drawn_files import LEVEL, drawn_runs, read_drawn
from brain2image.evaluation.picture_metrics import score_pictures
from brain2image.evaluation.picture_networks import to_square
from brain2image.pairs.clip import embed_images
from brain2image.pairs.clip_embeddings import PROJECTED

if TYPE_CHECKING:
    from PIL.Image import Image

logger = logging.getLogger(__name__)


def compare_pictures(
    drawn: Mapping[str, str | os.PathLike],
    *,
    seen_images: Sequence["Image"],
    concepts: np.ndarray,
    networks: Mapping[str, str | Path],
    clip: Mapping[str, Any],
    n_compared: int = 0,
    draw_seed: int = 0,
    n_permutations: int,
    seed: int,
) -> dict[str, Any]:
    """Score the pictures of every run and way of drawing against the seen ones.

    Parameters
    ----------
    drawn : files of drawn pictures, by the way in which they were drawn: ``linear``, ``unclip``.
    seen_images : the EEG's picture of each test pair.
    concepts : (n_pairs,) str, of these pictures.
    networks : weights by the names of `picture_networks.NETWORKS`.
    clip : options of `pairs.clip.embed_images`.
    n_compared, draw_seed : how many test pairs are taken, and by which seed they are drawn; 0: all.
    n_permutations, seed : of the p-values, see `picture_metrics.score_pictures`.

    Returns
    -------
    ``scores`` (by the name of the run, rows of level ``drawn``, whose ``space`` is the way of drawing),
    ``not_computed`` (why, by the name of the metric) and ``notes`` (on single metrics).
    """
    n_compared = min(n_compared or len(concepts), len(concepts))
    taken = np.sort(np.random.default_rng(draw_seed).permutation(len(concepts))[:n_compared])
    concepts = concepts[taken]
    seen = np.concatenate([to_square(np.array(seen_images[pair].convert("RGB"))[None]) for pair in taken])
    pictures = {
        (way, run): read_drawn(path, run)[taken] for way, path in drawn.items() for run in drawn_runs(path)
    }
    own, *others = embed_pictures([seen[:, None], *pictures.values()], clip)
    scores: dict[str, list[dict[str, Any]]] = {}
    not_computed: dict[str, str] = {}
    notes: dict[str, str] = {}
    options: dict[str, Any] = {"weights": networks, "n_permutations": n_permutations, "seed": seed}
    for ((way, run), samples), features in zip(pictures.items(), others, strict=True):
        logger.info("comparing what was drawn for %s (%s)", run, way)
        for row in score_pictures(samples, seen, concepts, clip=(features, own[:, 0]), **options):
            note, n_images = row.pop("note"), row.pop("n_images")
            if row["value"] is None:
                not_computed[row["metric"]] = note
                continue
            notes |= {row["metric"]: note} if note else {}
            names = {"n_trials": "all", "space": way, "level": LEVEL, "direction": "both"}
            scores.setdefault(run, []).append({**names, "n_gallery": n_images, **row})
    return {"scores": scores, "not_computed": not_computed, "notes": notes}


def embed_pictures(groups: Sequence[np.ndarray], clip: Mapping[str, Any]) -> list[np.ndarray]:
    """Embed pictures by CLIP, all in one go.

    Parameters
    ----------
    groups : (n_images, n_samples, height, width, 3) uint8 each.
    clip : options of `pairs.clip.embed_images`.

    Returns
    -------
    (n_images, n_samples, n_features) float32 each.
    """
    shapes = [group.shape[:2] for group in groups]
    flat = [picture for group in groups for sample in group for picture in sample]
    images = [pillow.fromarray(picture) for picture in flat]
    features = embed_images(images, **clip)[PROJECTED]
    parts = np.split(features, np.cumsum([np.prod(shape) for shape in shapes])[:-1])
    return [part.reshape(*shape, -1) for part, shape in zip(parts, shapes, strict=True)]
