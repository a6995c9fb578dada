"""Identity verification in the national population database."""
