"""Claims jobs under a lease, runs one trainer process a job, publishes the result."""
