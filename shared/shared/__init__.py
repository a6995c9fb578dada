"""What every service shares: errors, events, outbox, inbox, reader, database, HTTP, tokens."""
