"""The apiserver: one HTTP endpoint per ClearML API call, over Mongo, Elasticsearch and Redis."""
