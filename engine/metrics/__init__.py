"""The metrics: how good an attribution is. One file, one function, one paper, one result."""

METRICS = (
    "insertion_deletion",
    "sensitivity_n",
    "infidelity",
    "max_sensitivity",
    "completeness",
    "randomisation",
    "pointing_game",
    "sanity_check",  # several of them at once, in check.py
)
