"""The command ``brain2image``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import brain2image
from brain2image.commands.eeg_commands import add_calibrate, add_translate
from brain2image.commands.workflow_commands import CALLING, add_workflow
from brain2image.core.errors import InputError
from brain2image.core.extras import EXTRAS, missing


def new_project(options: argparse.Namespace) -> None:
    """Make a project folder and say what to do there."""
    from brain2image.commands.new_project import make_project

    written = make_project(options.folder)
    print(f"{options.folder}: {', '.join(written)}")
    print(
        f"Next: cd {options.folder}, edit config/config.yaml, then brain2image check; "
        "brain2image run --configfile config/demo.yaml tries all on synthetic data."
    )


def export(options: argparse.Namespace) -> None:
    """Write a run as a folder that can be given away, or push it to the Hub."""
    if options.push_to_hub:
        from brain2image.sharing.hub import push_run

        print(f"Pushed: {push_run(options.run, options.push_to_hub, is_public=options.public)}")
        return
    from brain2image.sharing.exporting import export_run

    run = Path(options.run).absolute()
    out = options.out or f"{run.parent.name}_{run.name}"
    export_run(run, out)
    print(f"{out}: README.md, config.json, model.safetensors; read the README before you give it away")


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
    share = commands.add_parser("export", help="write a trained run with a model card, to give away")
    share.add_argument("run", metavar="RUN", help="folder of a trained run: results/runs/BRAINS/RUN")
    share.add_argument("--out", metavar="FOLDER", help="to write (BRAINS_RUN)")
    share.add_argument("--push-to-hub", metavar="OWNER/NAME", help="push it there instead, closed to others")
    share.add_argument("--public", action="store_true", help="a repository that is new is open to everybody")
    share.set_defaults(call=export)
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
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        sys.exit(f"brain2image: {missing(package, options.command)}")


if __name__ == "__main__":
    main()
