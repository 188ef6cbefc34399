"""More machines than one: shards for any scheduler, and Ray for a cluster that is there (docs/scaling.md)."""
