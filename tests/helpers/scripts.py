"""Scripts of the workflow, run in the process of a test."""

import runpy
from pathlib import Path
from types import SimpleNamespace

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"


class Files(SimpleNamespace):
    """Files by name, as Snakemake hands them over."""

    def get(self, name, default=None):
        return getattr(self, name, default)


def run_script(name, folder, *, input, output, params):
    fake = SimpleNamespace(
        input=Files(**vars(input)) if isinstance(input, SimpleNamespace) else input,
        output=Files(**output),
        params=SimpleNamespace(**params),
        log=[str(folder / "log.txt")],
        rule=name,
        threads=1,
    )
    runpy.run_path(str(SCRIPTS / f"{name}.py"), init_globals={"snakemake": fake})
