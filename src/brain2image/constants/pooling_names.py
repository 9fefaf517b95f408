"""Names of pooling heads that say more than which head it is."""

ENCODERLESS = "none"  # of a run that is its linear path alone
