"""DETECT: is something wrong? Alarms by mechanism, calibrated intervals, density, slices."""
