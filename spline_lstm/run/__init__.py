"""What a run is: its contract, params, files and errors."""
