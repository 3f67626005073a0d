"""The comparison of recorded answers: what it forgives, and above all what it does not."""
