"""The metrics: how good an attribution is. One file, one function, one paper, one result; check.py runs several."""
