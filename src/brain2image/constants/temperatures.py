"""Range of InfoNCE's learned temperature."""

TEMPERATURES = (0.01, 1.0)  # without unit; the lower end is CLIP's (logits at most 100)
