"""Measurements: each script asks one question, says how it measures, and what its number does not show.

`python -m bench` runs all of them, `python -m bench.fanout` one; `--quick` takes a minute in all and is for seeing that they work.
The load is a C program compiled on the spot (bench/c), the service is `livecast serve --dev` as anybody would start it.
"""
