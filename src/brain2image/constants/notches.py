"""Which frequencies power lines may have, and how near to each other two may be."""

LINE_RANGE = (10.0, 100.0)  # Hz
NOTCH_SPACING = 2.0  # Hz; closer notches overlap
