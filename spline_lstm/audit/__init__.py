"""What a finished run can prove: where it came from, and that it is whole."""
