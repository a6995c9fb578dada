"""The national systems played on one machine, and the replay of a province's period."""
