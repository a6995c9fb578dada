"""Read model, reports and operators' pages."""
