"""Drives load with AIPerf and reads what it measured."""
