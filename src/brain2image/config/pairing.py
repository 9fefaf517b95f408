"""The blocks of the configuration on pairs of pictures: how they are made, divided and labelled."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from brain2image.config.types import Count, Fraction, Section, Seed


class MatchingConfig(Section):
    """Which picture pairs are made."""

    mode: Literal["auto", "look_alike", "exact"] = Field(
        "auto",
        description="Pairs of pictures that look most alike (look_alike), or of each picture with itself "
        "(exact), where the EEG's people saw the fMRI's own pictures. auto: exact wherever they did.",
    )
    top_k: Count = Field(
        1000,
        description="Number of look-alike pairs, the best that may be had, of which split takes its shares; "
        "each picture is in one pair at most. Exact pairs are all that there are.",
    )
    include_test: bool = Field(
        False,
        description="Also train and validate on pictures that the EEG's authors kept for testing (THINGS: "
        "200, with 80 EEG trials each instead of 4), or test them by test_from: any or shared1000.",
    )


class ClusteringConfig(Section):
    """K-means over the training pairs; its labels group the pairs in the distillation loss."""

    n_clusters: Annotated[int, Field(ge=2)] = Field(5, description="Number of clusters.")
    seed: Seed = Field(0, description="Seed of the K-means starts.")


class SplitConfig(Section):
    """Division of the pairs into training, validation and test."""

    train: Fraction = Field(0.8, description="Share of training pairs.")
    val: Fraction = Field(0.1, description="Share of validation pairs, on which the checkpoint is chosen.")
    test: Fraction = Field(
        0.1,
        description="Share of test pairs, read once; with test_from: test_partition, instead, as many as "
        "that has pictures.",
    )
    seed: Seed = Field(0, description="Seed by which the concepts of val and test are drawn.")
    group_by: Literal["image", "concept"] = Field(
        "concept",
        description="What no two splits share: the concept of the EEG's picture (of NSD's pictures, which "
        "have none, its near duplicates), or only the picture.",
    )
    test_from: Literal["auto", "any", "shared1000", "test_partition"] = Field(
        "auto",
        description="Test pairs show any fMRI picture; one of NSD's shared 1,000, as MindEye2's ridge was "
        "fitted on all others, so that their embeddings are no predictions; or one of these, and of the EEG "
        "the pictures that its authors kept for testing (test_partition; THINGS: 200 of other concepts, with "
        "80 trials each in recordings of their own). auto: test_partition where the data set has one and "
        "pairs are of look-alikes or there is no fMRI, else shared1000, and without fMRI any.",
    )

    drop_overlapping_trials: bool = Field(
        True,
        description="Leave out training trials whose second of EEG overlaps that of a val or test trial, "
        "about a tenth of THINGS-EEG2's and a third of Alljoined1's; of raw recordings only, as others do "
        "not say when their trials were.",
    )

    @model_validator(mode="after")
    def _sum_to_one(self) -> "SplitConfig":
        if abs(self.train + self.val + self.test - 1) > 1e-6:
            raise ValueError(f"train, val and test must sum to 1, got {self.train + self.val + self.test:g}")
        return self
