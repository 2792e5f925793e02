"""What every experiment runs on: command line, run folder, records, progress."""
