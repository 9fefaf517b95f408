"""What made each result, noted beside the results, and the lock that keeps a second Snakemake out of them.

Snakemake keeps its notes (rule, params with the fingerprint of the source, inputs and their checksums) in the
folder in which it was started. Two checkouts that share a results folder would know nothing of each
other's config, and copied results would have no notes. Here they lie in the results folder, and name paths
relative to it.
"""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import snakemake.workflow
from snakemake.exceptions import WorkflowError
from snakemake.persistence import RECORD_FORMAT_VERSION, MetadataRecord, ParamsChange
from snakemake.persistence.file import FilePersistence
from snakemake.settings.types import DeploymentMethod, PersistenceBackend

from brain2image.core.errors import InputError
from brain2image.core.manifest import MANIFEST, Hold, job_place, record_path
from brain2image.core.versions import UPGRADE, find_upgrades

RESULTS = "<results>/"  # stands in notes for the results folder, wherever it is


class ResultsPersistence(FilePersistence):
    """Snakemake's notes on outputs, kept in the results folder.

    One that runs jobs holds the results folder from before it plans until it ends. Dry runs, reports and the
    Snakemakes around the jobs of a cluster do not.

    Parameters
    ----------
    results : the results folder, as the rules spell it.
    rerun_on_upgrade : whether results of libraries in another version are stale.
    options : what Snakemake gives.
    """

    _metadata_path: str
    planned: ClassVar["ResultsPersistence | None"] = None  # the one whose workflow was planned last

    def __init__(self, *, results: str, rerun_on_upgrade: bool = False, **options: Any):
        super().__init__(**options)
        ResultsPersistence.planned, self._rerun_on_upgrade = self, rerun_on_upgrade
        self._results, self._earlier = f"{results}/", self._metadata_path
        folder = os.path.join(results, MANIFEST)
        self._metadata_path = os.path.join(folder, "outputs")
        self._incomplete_path = os.path.join(folder, "incomplete")
        self._lockdir = os.path.join(folder, "locks")
        workflow, is_alone = self.dag.workflow, not (options["nolock"] or options["warn_only"])
        with _named():
            is_run = workflow.execution_settings is not None and is_alone
            self._hold = Hold(results, is_local=workflow.local_exec) if is_run else None

    def _relative(self, path: str) -> str:
        return RESULTS + path[len(self._results) :] if path.startswith(self._results) else str(path)

    def _get_key(self, f: Any) -> str:
        return self._relative(super()._get_key(f))

    def _record_path(self, subject: str, id: str) -> str:
        if id.startswith(RESULTS):
            return record_path(subject, id.removeprefix(RESULTS))
        return super()._record_path(subject, id)

    def _io_write(self, subject: str, json_value: Any, id: str, mode: int | None = None) -> None:
        """Write a note whole or not at all, also over that of another member of the group."""
        path = Path(self._record_path(subject, id))
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f".{path.name}.{os.getpid()}")
        scratch.write_text(json.dumps(json_value, indent=1))
        os.replace(scratch, path)

    def _read_record(self, key: str) -> MetadataRecord | None:
        record = super()._read_record(key)
        if record is None:  # the checkout may have one from before they were kept with the results
            note = self._io_read(self._earlier, key.replace(RESULTS, self._results, 1))
            record = self._without_place(MetadataRecord.model_validate(note)) if note else None
        return record

    def _delete_record(self, key: str) -> bool:
        was_earlier = self._io_delete(self._earlier, key.replace(RESULTS, self._results, 1))
        return super()._delete_record(key) or was_earlier

    def _write_record(self, key: str, record: MetadataRecord) -> None:
        super()._write_record(key, self._without_place(record))

    def _without_place(self, record: MetadataRecord) -> MetadataRecord:
        record.input = sorted(map(self._relative, record.input or []))
        record.params = sorted(map(self._relative_text, record.params or []))
        record.input_checksums = {
            self._relative(path): checksum for path, checksum in (record.input_checksums or {}).items()
        }
        return record

    def _relative_text(self, text: str) -> str:
        return text.replace(f"'{self._results}", f"'{RESULTS}")

    def _input(self, job: Any) -> list[str]:
        return sorted(map(self._relative, super()._input(job)))

    def _params(self, job: Any) -> list[str]:
        return sorted(map(self._relative_text, super()._params(job)))

    def params_changed(self, job: Any, file: Any = None) -> ParamsChange:
        """Compare params, and the versions of libraries as if they were some."""
        changes = super().params_changed(job, file)
        place = job_place(job.log[0], job.rule.name) if job.log and self._compares_versions() else None
        if place and (upgrades := find_upgrades(*place)):
            before = {f"{UPGRADE}{library} {version}" for library, version, _ in upgrades}
            now = {f"{UPGRADE}{library} {version}" for library, _, version in upgrades}
            changes |= ParamsChange(only_old=before, only_new=now, files=set(job.output))
        return changes

    def _compares_versions(self) -> bool:
        """Tell whether results of another version are stale; conda's environments are not this one."""
        methods = self.dag.workflow.deployment_settings.deployment_method
        return self._rerun_on_upgrade and DeploymentMethod.CONDA not in methods

    def input_checksums(self, job: Any, input_path: Any) -> set[Any]:
        """Look up the checksums by the path below the results."""
        return super().input_checksums(job, self._relative(input_path))

    def started(self, job: Any, external_jobid: str | None = None) -> None:
        """Note at once what makes the outputs: on a cluster the job goes on when Snakemake is killed."""
        super().started(job, external_jobid)
        for f in job.output:
            record = MetadataRecord(
                rule=job.rule.name,
                input=self._input(job),
                log=self._log(job),
                params=self._params(job),
                software_stack_hash=self._software_stack_hash(job),
                record_format_version=RECORD_FORMAT_VERSION,
            )
            self._write_record(self._get_key(f), record)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep others out while jobs run; two Snakemakes that make nothing do not meet."""
        if self._hold and not any(self.all_outputfiles()):
            self._hold.end()
            yield
            return
        with ExitStack() as held:
            if self._hold:
                with _named():
                    held.enter_context(self._hold)
                if self._hold.leaves_nothing_running():
                    self.unlock()
            os.makedirs(self._lockdir, exist_ok=True)
            held.enter_context(super().lock())
            yield


@contextmanager
def _named() -> Iterator[None]:
    """Turn an InputError into the one that Snakemake ends on with one line."""
    try:
        yield
    except InputError as error:
        raise OneLineError(str(error)) from None


class OneLineError(WorkflowError):
    """An error of which Snakemake prints the message alone, without the frames that led to it."""

    __traceback__ = property(lambda self: None, lambda self, frames: None)


def keep_beside(
    results: str, workflow: snakemake.workflow.Workflow, *, rerun_on_upgrade: bool = False
) -> None:
    """Make a workflow that is being read keep its notes in its results folder.

    Parameters
    ----------
    results : the results folder, as the rules spell it.
    workflow : the one that is being read.
    rerun_on_upgrade : whether results that libraries made in another minor version are stale.
    """
    if workflow.workflow_settings.persistence_backend != PersistenceBackend.FILE:
        raise WorkflowError("expected --persistence-backend file, as notes on results are kept beside them")
    assert hasattr(snakemake.workflow, "FilePersistence")  # from which it takes the class when it plans
    snakemake.workflow.FilePersistence = partial(
        ResultsPersistence, results=results, rerun_on_upgrade=rerun_on_upgrade
    )
