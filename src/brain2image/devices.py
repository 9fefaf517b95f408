"""The device that heavy computations run on."""

import logging

logger = logging.getLogger(__name__)


def compute_device() -> str:
    """``cuda`` where PyTorch finds a GPU, otherwise ``cpu``; the log says which."""
    import torch

    if torch.cuda.is_available():
        logger.info("computing on the GPU %s", torch.cuda.get_device_name())
        return "cuda"
    logger.info("no CUDA device found: computing on the CPU with %d threads", torch.get_num_threads())
    return "cpu"
