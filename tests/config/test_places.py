"""Results lie apart from the raw data and from the source."""

import pytest

from brain2image.config.places import check_apart_from_data, check_apart_from_source
from brain2image.core.errors import InputError


def test_results_hold_no_raw_data_but_those_of_the_demo(tmp_path):
    results = str(tmp_path / "results")
    check_apart_from_data(results, {"nsd": f"{results}/raw/nsd", "things_eeg": str(tmp_path / "results-eeg")})
    (tmp_path / "link").symlink_to(tmp_path / "results")
    for path in (results, f"{results}/nsd", str(tmp_path / "link" / "nsd")):
        with pytest.raises(InputError, match=r"must not hold the raw data, got .* and data\.nsd"):
            check_apart_from_data(results, {"nsd": path})


@pytest.mark.parametrize(
    ("results", "problem"), [("checkout/src/out", "is part of"), ("checkout", "holds"), (".", "holds")]
)
def test_results_are_no_part_of_the_checkout(tmp_path, results, problem):
    checkout = str(tmp_path / "checkout")
    check_apart_from_source(f"{checkout}/results", checkout)
    with pytest.raises(InputError, match=f"which {problem} this checkout"):
        check_apart_from_source(str(tmp_path / results), checkout)
