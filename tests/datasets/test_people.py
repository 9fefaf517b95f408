"""People whom no data set has, and data sets without a folder, are refused by name."""

import pytest

from brain2image.core.errors import InputError
from brain2image.datasets.nsd.nsd import DATASET as NSD
from brain2image.datasets.people import check_brains, find_brains
from brain2image.datasets.things_eeg2.things_eeg2 import DATASET as THINGS

DATASETS = {dataset.name: dataset for dataset in (NSD, THINGS)}


@pytest.mark.parametrize(
    ("brains", "message"),
    [
        ("other-01_subj01", "expected a person of things, got 'other-01'"),
        ("things-99_subj01", "got 'things-99'"),
        ("things-01_subj09", "got 'subj09'"),
    ],
)
def test_brains_are_people_of_the_data_sets(tmp_path, brains, message):
    folders = dict.fromkeys((*NSD.folders, *THINGS.folders), str(tmp_path))
    check_brains(["things-01_subj01"], DATASETS, folders, fmri=NSD.name)
    with pytest.raises(InputError, match=message):
        check_brains([brains], DATASETS, folders, fmri=NSD.name)
    with pytest.raises(InputError):
        find_brains(DATASETS, folders, fmri=NSD.name)  # of whom there is nobody
