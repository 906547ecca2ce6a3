"""Training: what it draws its batches from, what it minimises, and the loop that all of it shares."""
