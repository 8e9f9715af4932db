"""The life of a LoRA adapter: trained, checked, published. Only ``training`` needs torch."""
