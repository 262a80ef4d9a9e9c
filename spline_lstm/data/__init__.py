"""From a file to windows."""
