"""A run on the Hub: what huggingface_hub's mixin needs to push it there and to read it again."""

from pathlib import Path
from typing import Any

from huggingface_hub import ModelHubMixin

from brain2image.core.errors import InputError
from brain2image.sharing.exporting import write_shared
from brain2image.weights.hub_runs import fetch_run


class SharedRun(ModelHubMixin):
    """A trained run with ``push_to_hub(repository)``, ``save_pretrained(folder)`` and ``from_pretrained``.

    What is there of it on this disk is the folder ``run``, which `load_model` takes.

    Parameters
    ----------
    run : folder of the trained run.
    place : where it will be shared, for the model card: ``hf://owner/name``.
    """

    def __init__(self, run: str, place: str | None = None):
        self.run, self.place = run, place

    def _save_pretrained(self, save_directory: Path) -> None:
        write_shared(self.run, save_directory, place=self.place)

    @classmethod
    def _from_pretrained(cls, *, model_id: str, revision: str | None = None, **_: Any) -> "SharedRun":
        if Path(model_id).is_dir():
            return cls(model_id)
        return cls(str(fetch_run(f"hf://{model_id}{f'@{revision}' if revision else ''}")))


def push_run(run: str, repository: str, *, is_public: bool = False) -> str:
    """Write a run with its model card to the Hub, and return its address there.

    Parameters
    ----------
    run : folder of the trained run.
    repository : ``owner/name``, which is made if it is not there.
    is_public : whether a new repository is open to everybody.

    Raises
    ------
    InputError
        When the run is none whose weights were kept, or the Hub does not take it.
    """
    shared, message = SharedRun(run, place=f"hf://{repository}"), Path(run).absolute().name
    try:
        return str(shared.push_to_hub(repository, private=not is_public, commit_message=message))
    except InputError:
        raise
    except Exception as error:  # of several libraries, by the version of huggingface_hub
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(
            f"{repository}: cannot push the run there ({reason}); log in with hf auth login, or set HF_TOKEN "
            "to a token that may write"
        ) from None
