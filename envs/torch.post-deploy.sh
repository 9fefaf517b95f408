# Snakemake runs this in the new environment. Pinned versions (make pins) are of conda's packages alone, and himalaya
# is none of them.
python -m pip show --quiet himalaya || python -m pip install --no-deps 'himalaya>=0.4.6'
