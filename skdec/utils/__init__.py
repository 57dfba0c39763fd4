"""What everybody may use: checks, threads, numbers, duplicates, warnings."""
