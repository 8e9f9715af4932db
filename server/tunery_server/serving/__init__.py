"""One inference request from start to end: resolve the model, admit, make resident, relay."""
