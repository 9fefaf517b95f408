"""Shared by all files here: the checked configuration, its plan, and what Snakemake wants said once."""

import os

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

from brain2image.config import check_config_files, list_runs, list_settings, load_config
from brain2image.constants.brain_names import has_fmri, members
from brain2image.constants.training_keys import WITHOUT_EFFECT
from brain2image.core.errors import InputError
from brain2image.core.records import keep_beside
from brain2image.plan import Plan

# A --configfile replaces the user's file, it is not merged with it.
CONFIGFILES = workflow.overwrite_configfiles or ["config/config.yaml"]


def asked(function, *arguments, **options):
    """Ask a function; an error that the user can mend ends Snakemake with its one line."""
    try:
        return function(*arguments, **options)
    except InputError as error:
        raise WorkflowError(str(error))


asked(check_config_files, CONFIGFILES)
if not workflow.overwrite_configfiles:

    configfile: CONFIGFILES[0]


cfg = asked(load_config, config, checkout=workflow.basedir)
scripts = workflow.current_basedir.join("../workflow/scripts")  # not of the project folder that includes this
plan = asked(Plan, cfg, scripts=scripts.get_path_or_uri(secret_free=True))
if workflow.is_main_process:
    plan.say_who_is_left_out(logger.warning)
keep_beside(cfg.results, workflow, rerun_on_upgrade=cfg.rerun_on_upgrade)
os.environ.update(plan.environment(os.environ))


def ask(question, *names):
    """Input function: what the plan says of these wildcards."""
    return lambda wildcards: asked(getattr(plan, question), *(getattr(wildcards, name) for name in names))


def growing(first):
    """A resource that doubles with each attempt (`--retries`); `first` may depend on the wildcards."""
    return lambda wildcards, attempt: (first(wildcards) if callable(first) else first) * 2 ** (attempt - 1)


pathvars:
    results=cfg.results,
    logs=f"{cfg.results}/logs",
    benchmarks=f"{cfg.results}/benchmarks",


wildcard_constraints:
    **plan.wildcards,
