"""The calls of Snakemake behind ``brain2image run``, ``check``, ``report`` and ``fetch``."""

import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

from brain2image.config import Config, check_config_file, load_config
from brain2image.core.errors import InputError
from brain2image.core.workflow_files import workflow_root

CONFIG = "config/config.yaml"
SNAKEFILES = ("Snakefile", "snakefile", "workflow/Snakefile", "workflow/snakefile")  # as Snakemake looks
# Targets that are commands of their own.
COMMANDS = {"check", "report", "status", "fetch", "summary"}
# How the names of rules begin that only show results.
DRAWING = ("plot_", "show_", "write_")
RULE = re.compile(r"^ *rule (\w+):\n((?:(?: .*)?\n)+)", re.MULTILINE)
OUTPUT = re.compile(r"^ *output:\n(.*?)^ *log:", re.MULTILINE | re.DOTALL)


def call_snakemake(arguments: Sequence[str]) -> None:
    """Print a call of Snakemake as one would type it, and make it; this process ends with its status."""
    from snakemake import cli

    print(f"$ {shlex.join(['snakemake', *arguments])}", file=sys.stderr, flush=True)
    cli.main(list(arguments))


def snakemake_arguments(
    targets: Sequence[str] = (),
    *,
    configfile: str | None = None,
    cores: str = "all",
    is_short: bool = True,
    further: Sequence[str] = (),
) -> list[str]:
    """Build the arguments of Snakemake, in the order in which it takes none for another.

    Parameters
    ----------
    targets : rules or files.
    configfile : instead of config/config.yaml.
    cores : a number, or all.
    is_short : print a line a job; otherwise all that Snakemake says.
    further : Snakemake's own options.

    Raises
    ------
    InputError
        When there is no workflow here, the config file cannot be read, or a target is none.
    """
    check_folder()
    check_targets(targets)
    if configfile:
        check_config_file(configfile)
    # --configfile takes all names up to the next option, so targets stand before it
    named = ["--configfile", configfile] if configfile else []
    short = ["--logger", "brain2image"] if is_short else []
    return [*targets, *named, *short, "--cores", cores, *further]


def check_folder() -> None:
    """Raise an InputError where the current folder holds no workflow."""
    if not any(Path(name).is_file() for name in SNAKEFILES):
        raise InputError(
            f"{Path.cwd()}: expected a Snakefile in the current folder, got none; change into the checkout "
            "or into a project folder, which `brain2image new FOLDER` makes"
        )


def check_targets(targets: Iterable[str]) -> None:
    """Raise an InputError for a target that is neither a rule nor a file, with what may be meant."""
    rules = _rules()
    for target in targets:
        if target.endswith((".yaml", ".yml")) and target not in rules:
            raise InputError(
                f"{target}: expected a rule or a file that the workflow makes, got a config file; "
                f"give it with --configfile {target}"
            )
        if "/" in target or Path(target).exists():
            continue
        if target not in rules:
            raise InputError(
                f"{target}: expected a rule or a file that the workflow makes, {_advice(target, rules)}"
            )
        if rules[target]:
            raise InputError(
                f"{target}: expected a rule that runs once, got one that runs for each "
                f"{' and '.join(rules[target])}; name a file that it makes, or no target for everything"
            )


def _advice(target: str, rules: Iterable[str]) -> str:
    if target in COMMANDS:
        return f"got a command; call brain2image {target}"
    nearest = get_close_matches(target, rules, n=1)
    return f"got neither; did you mean {nearest[0]}?" if nearest else "got neither; correct its name"


def _rules() -> dict[str, list[str]]:
    """Return the wildcards in the outputs of every rule of the workflow, by the rule's name."""
    root = workflow_root()
    files = [
        root / "Snakefile",
        *sorted((root / "rules").glob("*.smk")),
        *filter(Path.is_file, map(Path, SNAKEFILES)),
    ]
    found = {}
    for text in (file.read_text(encoding="utf-8") for file in files):
        for name, body in RULE.findall(text):
            output = OUTPUT.search(body)
            wildcards = re.findall(r"(?<!\{)\{(\w+)\}(?!\})", output[1]) if output else []
            found[name] = list(dict.fromkeys(wildcards))
    return found


def read_config(configfile: str | None) -> Config:
    """Read the config of the current folder, or another file, with all defaults.

    Raises
    ------
    InputError
        When it cannot be read or a key is wrong.
    """
    from snakemake.common.configfile import load_configfile

    check_config_file(path := configfile or CONFIG)
    return load_config(load_configfile(path))


def report_arguments(
    configfile: str | None, further: Sequence[str] = (), *, is_short: bool = True
) -> list[str]:
    """Build the arguments that write the report of the results that are there, and compute none anew.

    Raises
    ------
    InputError
        When there are no scores yet, or as `snakemake_arguments` does.
    """
    target = [report_folder(configfile)]
    drawing = [rule for rule in _rules() if rule.startswith(DRAWING)]
    further = ["--allowed-rules", *drawing, *further]
    return snakemake_arguments(target, configfile=configfile, is_short=is_short, further=further)


def provenance_arguments(configfile: str | None, out: str, further: Sequence[str] = ()) -> list[str]:
    """Build the arguments that write Snakemake's own report, of rules, jobs and code, into a file.

    Raises
    ------
    InputError
        As `report_arguments` does.
    """
    report_folder(configfile)
    named = ["--configfile", configfile] if configfile else []
    return [*named, *further, "--report", out]


def report_folder(configfile: str | None) -> str:
    """Return the folder of the report of results that have scores.

    Raises
    ------
    InputError
        When there are none yet, or no workflow here.
    """
    check_folder()
    results = read_config(configfile).results
    if not Path(results, "summary.csv").is_file():
        raise InputError(
            f"{results}/summary.csv: expected scores to report, got none; call brain2image run first"
        )
    return f"{results}/report"
