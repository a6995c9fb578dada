"""The hub on one machine as ordinary processes: PostgreSQL, Apache Kafka, the services, no Docker."""
