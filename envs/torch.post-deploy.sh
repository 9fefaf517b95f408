# Snakemake runs this in the new environment. Pinned versions (make pins) are of conda's packages alone, and these are none
# of them; the others that they need are there, but for a few small ones of braindecode and diffusers.
python -m pip show --quiet himalaya || python -m pip install --no-deps 'himalaya>=0.4.6'
python -m pip show --quiet braindecode diffusers || python -m pip install 'braindecode>=1.8.1' 'diffusers>=0.42'
