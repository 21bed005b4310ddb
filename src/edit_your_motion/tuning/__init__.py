"""One-shot fine-tuning of the inflated network on one clip."""
