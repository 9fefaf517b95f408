"""Keys of the block `training` that change no result."""

WITHOUT_EFFECT = {"memory_limit_gb", "save_minutes"}  # they make nothing stale, and no other training
