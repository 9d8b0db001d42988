"""The chaos run's checker, on histories made by hand."""
