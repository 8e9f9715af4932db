"""Child processes: starting them so that they die with their parent, and stopping them."""
