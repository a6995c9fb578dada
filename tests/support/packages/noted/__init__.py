"""The smallest service: what shared/ is tested with. It notes each event it reads."""
