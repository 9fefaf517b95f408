"""The command ``brain2image``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import brain2image
from brain2image.commands.eeg_commands import add_calibrate, add_translate
from brain2image.commands.workflow_commands import CALLING, add_workflow
from brain2image.core.errors import InputError


def new_project(options: argparse.Namespace) -> None:
    """Make a project folder and say what to do there."""
    from brain2image.commands.new_project import make_project

    written = make_project(options.folder)
    print(f"{options.folder}: {', '.join(written)}")
    print(
        f"Next: cd {options.folder}, edit config/config.yaml, then brain2image check; "
        "brain2image run --configfile config/demo.yaml tries all on synthetic data."
    )


def write_docs(options: argparse.Namespace) -> None:
    """Write the documents of the config."""
    from brain2image.config.documents import write_config_docs

    write_config_docs(options.folder)


def command_line() -> argparse.ArgumentParser:
    """Build the parser of all commands; `call` of what it parses does the work."""
    parser = argparse.ArgumentParser(prog="brain2image", description="Align EEG with fMRI through pictures.")
    parser.add_argument("--version", action="version", version=f"brain2image {brain2image.__version__}")
    commands = parser.add_subparsers(required=True, dest="command", metavar="COMMAND")
    add_workflow(commands)
    new = commands.add_parser("new", help="make a project folder with a config, to run the workflow in")
    new.add_argument("folder", metavar="FOLDER", help="a new or an empty one")
    new.set_defaults(call=new_project)
    add_translate(commands)
    add_calibrate(commands)
    docs = commands.add_parser("config-docs", help="write the documents of config/ from the config's schema")
    docs.add_argument("folder", type=Path, help="the folder config/ of the checkout")
    docs.set_defaults(call=write_docs)
    return parser


def _divide(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Divide the arguments of a command that calls Snakemake into its own and Snakemake's, after ``--``."""
    given = list(arguments)
    if "--" not in given or given[0] not in CALLING:
        return given, []
    place = given.index("--")
    return given[:place], given[place + 1 :]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    own, further = _divide(sys.argv[1:] if arguments is None else arguments)
    parser = command_line()
    options, unknown = parser.parse_known_args(own)
    if unknown:
        advice = "; options of Snakemake come after --" if own[0] in CALLING else ""
        parser.error(f"expected no {' '.join(unknown)}{advice}")
    options.further = further
    try:
        options.call(options)
    except InputError as error:
        sys.exit(f"brain2image: {error}")


if __name__ == "__main__":
    main()
