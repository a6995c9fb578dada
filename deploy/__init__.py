"""Ways to run the hub: `local` (ordinary processes), images (containers)."""
