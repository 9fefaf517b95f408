"""How near to each other two frequencies of power lines may be."""

NOTCH_SPACING = 2.0  # Hz; closer notches overlap
