"""Faults that were found by attacking the finished runner, one file for each number."""
