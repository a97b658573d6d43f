"""The catalogue: a row for each primitive and each public array function. See `row.Row`."""
