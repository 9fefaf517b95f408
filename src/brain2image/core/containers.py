"""The container image in which jobs run, where Snakemake is told to use one."""

from collections.abc import Collection
from pathlib import Path

from snakemake.settings.types import DeploymentMethod

from brain2image.core.errors import InputError

REMEDY = "docs/containers.md says how to build one"


def choose_image(image: str, methods: Collection[DeploymentMethod]) -> str | None:
    """Return the image for all rules; None, so that none is noted with a result, without ``--sdm apptainer``.

    Parameters
    ----------
    image : the config's ``container``: a file, an address such as ``docker://…``, or empty.
    methods : those of ``--sdm``.

    Raises
    ------
    InputError
        When an image is asked for and none is named, or its file is not there.
    """
    if DeploymentMethod.APPTAINER not in methods:
        return None
    if not image:
        raise InputError(f"config: container: expected an image, for --sdm apptainer, got none; {REMEDY}")
    if "://" not in image and not Path(image).is_file():
        raise InputError(f"config: container: {image}: expected an image file, got none; {REMEDY}")
    return image
