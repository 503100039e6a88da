"""Pure. What a scorecard's promises rest on: benign owners' highest scores, nulls, thresholds, and whether they drift.

labels.py    who is known to be benign, and who to extract
owners.py    a fold over judged requests: each owner's highest score in the last days, and its counts
nulls.py     the nulls and correlations that benign owners give
fitting.py   the cohort, its guard against extraction, thresholds, and the calibration file
drift.py     the realised share of owners above the level of a calibration
told.py      all of that in words
"""
