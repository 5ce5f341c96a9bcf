"""Failing on purpose: a switch in front of an engine, so that healing can be shown and tested on real processes.

Everything here is behaviour that was seen of real engines, which wedge, hang and die in many ways. It is off
unless asked for: `spark-control engine KIND --faults`, `spark-control serve --demo`.
"""
