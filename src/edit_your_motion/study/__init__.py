"""The user study: clips collected for people to compare, a page that asks them, and Eq. 18 of what they answered."""
