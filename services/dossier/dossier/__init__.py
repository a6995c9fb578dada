"""Dossiers: intake, life, deadlines, facts."""
