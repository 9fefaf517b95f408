"""The configuration: every key with its type, default, unit and meaning, checked before any job runs."""

from brain2image.config.data import SimulateConfig
from brain2image.config.listing import list_runs, list_settings
from brain2image.config.optimisation import LossConfig, TrainingConfig
from brain2image.config.reading import check_config_file, check_config_files
from brain2image.config.training_run import UNUSED_OPTIONS, ModelConfig, RunConfig
from brain2image.config.types import Section
from brain2image.config.whole import Config, load_config

__all__ = [
    "UNUSED_OPTIONS",
    "Config",
    "LossConfig",
    "ModelConfig",
    "RunConfig",
    "Section",
    "SimulateConfig",
    "TrainingConfig",
    "check_config_file",
    "check_config_files",
    "list_runs",
    "list_settings",
    "load_config",
]
