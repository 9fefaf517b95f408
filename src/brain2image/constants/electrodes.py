"""Sets of electrodes that the config may name, and that an encoder then hears alone."""

ALL = "all"
# The occipital and parietal electrodes that UBP takes: selected_ch in
# https://github.com/HaitaoWuTJU/Uncertainty-aware-Blur-Prior, configs/eeg/ubp.yaml.
_POSTERIOR = "P7 P5 P3 P1 Pz P2 P4 P6 P8 PO7 PO3 POz PO4 PO8 O1 Oz O2"
ELECTRODE_SETS = {"posterior": tuple(_POSTERIOR.split())}
