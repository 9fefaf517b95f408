"""The optional parts of the installation, and which of them brings a package that is missing."""

from importlib.util import find_spec

from brain2image.core.errors import InputError

# What is imported -> the extra of pyproject.toml that installs it; loading and translating need none.
EXTRAS = {
    "braindecode": "encoders",
    "diffusers": "pictures",
    "hdf5plugin": "workflow",
    "jinja2": "report",
    "lightning": "workflow",
    "markupsafe": "report",
    "matplotlib": "report",
    "nibabel": "report",
    "nilearn": "report",
    "open_clip": "pictures",
    "pygments": "report",
    "snakemake": "workflow",
    "snakemake_interface_logger_plugins": "workflow",
    "tensorboard": "workflow",
}


def missing(package: str, purpose: str) -> InputError:
    """Return the error that says what to install for a missing package.

    Parameters
    ----------
    package : as it is imported; one that no extra brings, as of somebody's own encoder, is named itself.
    purpose : what needs it, to begin the line.
    """
    what = f"'brain2image[{EXTRAS[package]}]'" if package in EXTRAS else package
    return InputError(f"{purpose}: expected the package {package}, got none; run: pip install {what}")


def require(package: str, purpose: str) -> None:
    """Raise the error of `missing` where a package is not installed; import nothing."""
    if find_spec(package) is None:
        raise missing(package, purpose)
