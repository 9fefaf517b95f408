"""The leak audit of one pair of brains as a table with a verdict a line."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from brain2image.evaluation.run_audit import FINDINGS
from brain2image.pairs.duplicates import NEAR_DUPLICATE
from brain2image.report.pages.html import heading, note, page, table, verdict
from brain2image.report.verdicts import p_value


class Check(NamedTuple):
    """What was looked at, how what was found is read from an audit, and what it means."""

    question: str
    found: Callable[[Mapping[str, Any]], str]
    meaning: str


def _shared(key: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda audit: str(audit["split"]["shared_with_training"]["test"][key])


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{100 * share:.0f} %"


def _of_encoder(key: str) -> Callable[[Mapping[str, Any]], str]:
    def found(audit: Mapping[str, Any]) -> str:
        encoder = audit["split"]["picture_encoder"]
        return "no picture encoder" if encoder is None else str(encoder["test"][key])

    return found


def _fitted(audit: Mapping[str, Any]) -> str:
    shares = audit["split"]["ridge_fitted_targets"]
    return f"{_percent(shares['test'])} (of training targets {_percent(shares['train'])})"


def _kind(audit: Mapping[str, Any]) -> str:
    return "the same picture" if audit["split"]["is_exact"] else "look-alikes"


def _beyond(audit: Mapping[str, Any]) -> str:
    beyond = audit["beyond"]
    return (
        "not asked" if beyond is None else f"{100 * beyond['two_way']:.0f} % two-way, {p_value(beyond['p'])}"
    )


def _in_training(audit: Mapping[str, Any]) -> str:
    return ", ".join(f"{n} {name}" for name, n in audit["people"]["shared_with_training"].items())


def _people(audit: Mapping[str, Any]) -> str:
    names = audit["people"]["learned_from"]
    return ", ".join(names) + (" (tested, too)" if audit["people"]["knows_tested"] and len(names) > 1 else "")


def _dropped(audit: Mapping[str, Any]) -> str:
    counts = audit["split"]["overlapping_trials"]
    return "unknown" if counts is None else f"{counts['n_dropped']:,} of {counts['n_trials']:,}"


RIDGE_FITTED = "ridge-fitted test targets"
# By the name of the finding in audit.audit_run: what concerns the split, and what concerns a run.
SPLIT_CHECKS = {
    "kind of the pairs": Check(
        "what the EEG's and the fMRI's people saw",
        _kind,
        "matching.mode; the target of a look-alike pair is another picture's, which no EEG can know wholly",
    ),
    "test EEG pictures in training": Check(
        "test pairs whose EEG picture is in training", _shared("EEG pictures"), "must be 0"
    ),
    "test fMRI pictures in training": Check(
        "test pairs whose fMRI picture is in training", _shared("fMRI pictures"), "must be 0"
    ),
    "test concepts in training": Check(
        "test pairs whose concept is in training",
        _shared("concepts"),
        "0 with split.group_by: concept; otherwise knowing the concept is enough for a part of the score",
    ),
    "near duplicates of training pictures": Check(
        f"test pairs that nearly equal a training picture (CLIP cosine ≥ {NEAR_DUPLICATE})",
        lambda audit: str(audit["split"]["near_duplicates"]["test"]),
        "must be 0, or such pictures are found by memory",
    ),
    "test fMRI pictures in the picture encoder": Check(
        "test fMRI pictures that the picture encoder was fitted on",
        _of_encoder("pictures"),
        "must be 0, or predicted targets hold what is tested",
    ),
    "near duplicates of the picture encoder's pictures": Check(
        "test pairs that nearly equal a picture of the picture encoder's",
        _of_encoder("near_duplicates"),
        "must be 0, or predicted targets hold what is tested",
    ),
    "left out of training": Check(
        "training trials left out, as they overlap a val or test trial",
        _dropped,
        "by split.drop_overlapping_trials; the last line says whether test trials still overlap any",
    ),
    RIDGE_FITTED: Check(
        "test targets on which MindEye2's ridge was fitted",
        _fitted,
        "such targets are less noisy than new ones; 0 % where all are of NSD's shared 1,000, on which it was "
        "not fitted: with split.test_from: test_partition or shared1000, and all pairs of data sets that "
        "showed these alone",
    ),
    "EEG whitened by test trials, too": Check(
        "test pictures whose EEG is among that by which all EEG was whitened or clamped",
        lambda audit: _percent(audit["split"]["whitened_by_test"]),
        "eeg.whiten, eeg.clip: by all trials but those of pictures that the EEG's authors kept for testing. "
        "Without labels, but a new recording has no such part; 0 % with split.test_from: test_partition, or "
        "with eeg.whiten: none and eeg.clip: 0",
    ),
    "raw EEG samples shared with training": Check(
        "test trials that share raw EEG samples with a training trial",
        lambda audit: _percent(audit["split"]["overlapping_test_trials"]),
        "a trial lasts 1 s and pictures follow each other sooner (THINGS-EEG2: 0.2 s, Alljoined1: 0.8 s), so "
        "neighbours overlap",
    ),
}
# Only where predictions are decoded.
DECODER_CHECK = Check(
    "test pairs on whose fMRI picture MindEye2's backbone, and its prior, was fitted",
    _fitted,
    "the backbone was fitted with the ridge, on the same pictures and fMRI of the same person, so the line "
    "above holds for it too: of such pairs the tokens and drawings of measured_fmri are memories in part, "
    "and a predicted embedding that comes near a known one may be decoded to its picture. Linear ways to "
    "tokens and pixels were fitted on no val or test pair, the unCLIP on pictures without any brain",
)
RUN_CHECKS = {
    "more is found than pictures explain": Check(
        "found beyond what the picture encoder predicts of the seen picture",
        _beyond,
        "the prediction seeks the measured embedding after what the picture encoder says of the seen picture "
        "was taken off both. Of exact pairs more than 50 %, chance, is a finding: the EEG knows what CLIP "
        "features do not tell, or what the picture encoder has not learned of them. The partner of a "
        "look-alike pair is chosen by CLIP features alone, so that beyond them its fMRI holds nothing that "
        "the EEG could know: 50 %, chance, unless CLIP features are a noisy account of what both pictures "
        "share, as in simulated data, the picture encoder has not learned all that CLIP features tell, or "
        "answers leaked. Each p is of its run alone; ceilings are not asked, as they know more",
    ),
    "targets in predictions": Check(
        "largest move of a prediction when test targets are shuffled",
        lambda audit: f"{audit['target_dependence']:.2g}",
        "must be 0: predictions come from EEG alone",
    ),
    "test pairs in anybody's training": Check(
        "test pairs of which the EEG of whoever is learned from taught something",
        _in_training,
        "must be 0: people see the same pictures, so that a picture or a concept may come back by another "
        "person; counted in the training sets of all of them",
    ),
    "tested person in the training of others": Check(
        "learned from the EEG of",
        _people,
        "of a run of others the tested person must not be among them; a calibration's pictures are that "
        "person's own",
    ),
    "statistics not of the training pairs": Check(
        "centring fitted on",
        lambda audit: audit["statistics_fitted_on"],
        "must be train",
    ),
    "checkpoint not chosen on validation": Check(
        "checkpoint chosen on",
        lambda audit: audit["checkpoint_chosen_on"] or "no checkpoints",
        "must be validation; baselines have none",
    ),
}
QUERY_EFFECT = (
    "Query effect: the alignment layer asks with an fMRI embedding. Training may ask with a trial's own "
    "target; predictions always ask with the mean training embedding. The effect is how far the output of "
    "validation pairs moves between the two, relative to its size: rms(own - mean) / rms(mean). At 0 the "
    "query does not matter, as with a single EEG token; the larger it is, the more training leaned on what "
    "predictions do not have. It is no leak, as predictions do not use it."
)
# What a line says of each finding; only a leak is bad news.
VERDICTS = {
    "leaks": verdict("leak: can raise the score", is_good=False),
    "caveats": "caveat",
    "unknown": "unknown",
}


def audit_page(
    brains: str,
    audits: Mapping[str, Mapping[str, Any]],
    query_effects: Mapping[str, float],
    *,
    is_decoded: bool,
) -> str:
    """Write the page as HTML.

    Parameters
    ----------
    brains : an EEG person and an fMRI subject.
    audits : of each run, the ``audit`` of its metrics.
    query_effects : of each network, ``query_effect`` of its config.json.
    is_decoded : whether predictions are decoded to tokens of pictures.
    """
    first = next(iter(audits.values()))
    split_checks = [({name}, check) for name, check in SPLIT_CHECKS.items()]
    if is_decoded:
        place = list(SPLIT_CHECKS).index(RIDGE_FITTED) + 1
        split_checks.insert(place, ({RIDGE_FITTED}, DECODER_CHECK))
    return page(
        f"Leak audit of {brains}",
        heading("The split"),
        table(
            ("question", "found", "verdict", "how to read it"),
            [
                (check.question, check.found(first), _verdict(first, names), check.meaning)
                for names, check in split_checks
            ],
        ),
        heading("The runs"),
        table(
            ("run", *(check.question for check in RUN_CHECKS.values()), "query effect", "verdict"),
            [
                (
                    run,
                    *(check.found(audit) for check in RUN_CHECKS.values()),
                    f"{query_effects[run]:.3g}" if run in query_effects else "none",
                    _verdict(audit, set(RUN_CHECKS)),
                )
                for run, audit in audits.items()
            ],
        ),
        # not `capitalize`, which would write eeg
        *(
            note(f"{check.question[0].upper()}{check.question[1:]}: {check.meaning}.")
            for check in RUN_CHECKS.values()
        ),
        note(QUERY_EFFECT),
    )


def _verdict(audit: Mapping[str, Any], names: set[str]) -> str:
    """Return the worst that the audit says of these lines."""
    said = (VERDICTS[finding] for finding in FINDINGS if not names.isdisjoint(audit[finding]))
    return next(said, verdict("clean", is_good=True))
